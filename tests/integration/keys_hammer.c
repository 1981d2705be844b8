/* keys_hammer: handshakes that must fail, without end, for hostile_keys.sh.
 *
 *     keys_hammer URL SERVER-KEY
 *
 * A third has a key that isn't listed, a third another broker's, a third none. Plain libzmq, so
 * that nothing of ours holds it back. */
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>
#include <zmq.h>

enum { CROWD = 24, KEY = 41, PAUSE_US = 20000 };

static void *strike(void *context, const char *url, const char *server, int i)
{
    char public_key[KEY], secret_key[KEY], other[KEY], unused[KEY];
    int zero = 0, soon = 1;
    void *socket = zmq_socket(context, ZMQ_DEALER);
    if (!socket || zmq_curve_keypair(public_key, secret_key) != 0 ||
        zmq_curve_keypair(other, unused) != 0)
        return socket;
    zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(socket, ZMQ_RECONNECT_IVL, &soon, sizeof soon);
    if (i % 3 < 2) {
        zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, i % 3 ? other : server, KEY);
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, public_key, KEY);
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret_key, KEY);
    }
    (void)zmq_connect(socket, url);
    (void)zmq_send(socket, "knock", 5, ZMQ_DONTWAIT);
    return socket;
}

int main(int argc, char **argv)
{
    void *context = zmq_ctx_new();
    if (argc != 3 || !context)
        return 2;
    puts("ready");
    fflush(stdout);
    for (;;) {
        void *sockets[CROWD];
        for (int i = 0; i < CROWD; i++)
            sockets[i] = strike(context, argv[1], argv[2], i);
        usleep(PAUSE_US);
        for (int i = 0; i < CROWD; i++)
            if (sockets[i])
                zmq_close(sockets[i]);
    }
}
