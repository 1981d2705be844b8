# mp_layer(NAME SOURCES file... USES layer...)
#
# A layer is a static target that sees its own headers, the public ones and
# those of the layers that it uses. A header of a layer that isn't linked isn't
# on the include path, so a dependency that points upwards doesn't compile.
# Headers are found by -iquote: a plain -I would let our sched.h or link.h
# stand in for the system's.
function(mp_layer name)
    cmake_parse_arguments(LAYER "" "" "SOURCES;USES" ${ARGN})
    add_library(${name} STATIC ${LAYER_SOURCES})
    target_compile_options(${name} PUBLIC "SHELL:-iquote ${CMAKE_CURRENT_SOURCE_DIR}")
    target_link_libraries(${name} PUBLIC mp_api ${LAYER_USES} PRIVATE mp_compile)
endfunction()
