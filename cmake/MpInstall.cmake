# What `cmake --install` puts where. Everything is relative to the prefix, so that an
# installed tree can be moved.
include(CMakePackageConfigHelpers)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/libmp/include/mp
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(FILES ${PROJECT_BINARY_DIR}/libmp/include/mp/version.h
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/mp)

set_target_properties(mp_shared PROPERTIES EXPORT_NAME mp)
install(TARGETS mp_shared mp_static mp_installed_api EXPORT mpTargets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/mp)
install(EXPORT mpTargets NAMESPACE mp:: DESTINATION ${package_dir})
configure_package_config_file(cmake/mpConfig.cmake.in mpConfig.cmake
    INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(mpConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/mpConfig.cmake ${PROJECT_BINARY_DIR}/mpConfigVersion.cmake
    DESTINATION ${package_dir})

# libmp.pc finds its prefix from where it lies itself.
file(RELATIVE_PATH pc_up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" pc_up "${pc_up}")
list(JOIN ZMQ_LDFLAGS " " pc_private)
list(JOIN PROTOBUF_C_LDFLAGS " " pc_protobuf)
list(JOIN JANSSON_LDFLAGS " " pc_jansson)
list(JOIN SODIUM_LDFLAGS " " pc_sodium)
string(APPEND pc_private " ${pc_protobuf} ${pc_jansson} ${pc_sodium}")
configure_file(cmake/libmp.pc.in libmp.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/libmp.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# Installed tools find the library next to them.
if(MP_BUILD_TOOLS)
    file(RELATIVE_PATH rpath "/${CMAKE_INSTALL_BINDIR}" "/${CMAKE_INSTALL_LIBDIR}")
    set_target_properties(mp mp-worker PROPERTIES INSTALL_RPATH "$ORIGIN/${rpath}")
    file(GLOB pages CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/man/*.[1-8])
    foreach(page IN LISTS pages)
        string(REGEX REPLACE ".*\\." "" section ${page})
        install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
    endforeach()
    # `man mp_pool_map` finds the page that has it in its NAME: a link page for each.
    file(GLOB pages CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/man/*.3)
    foreach(page IN LISTS pages)
        get_filename_component(file ${page} NAME)
        file(STRINGS ${page} names REGEX "^\\.Nm [A-Za-z_]+( ,)?$")
        foreach(name IN LISTS names)
            string(REGEX REPLACE "^\\.Nm ([A-Za-z_]+).*" "\\1" name ${name})
            set(link ${PROJECT_BINARY_DIR}/man/${name}.3)
            if(NOT EXISTS ${PROJECT_SOURCE_DIR}/docs/man/${name}.3)
                file(CONFIGURE OUTPUT ${link} CONTENT ".so man3/${file}\n" @ONLY)
                install(FILES ${link} DESTINATION ${CMAKE_INSTALL_MANDIR}/man3)
            endif()
        endforeach()
    endforeach()
endif()

# Units of systemd name their program by its absolute path, which is only known when it is installed.
if(MP_BUILD_TOOLS AND MP_INSTALL_SERVICES)
    foreach(service mp-broker mp-worker)
        install(CODE "
            set(MP_BINDIR \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}\")
            configure_file(\"${PROJECT_SOURCE_DIR}/deploy/systemd/${service}.service.in\"
                \"${PROJECT_BINARY_DIR}/${service}.service\" @ONLY)")
        install(FILES ${PROJECT_BINARY_DIR}/${service}.service DESTINATION lib/systemd/system)
    endforeach()
endif()
