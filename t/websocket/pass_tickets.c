
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * A TLS service that sends the tickets of its session late, between messages,
 * and none in the handshake.  pass_tickets CERTIFICATE KEY writes its port.
 */


#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/ssl.h>


static void serve(SSL *ssl);


int
main(int argc, char **argv)
{
    int                 fd, s;
    SSL                *ssl;
    SSL_CTX            *ctx;
    socklen_t           len;
    struct sockaddr_in  sin;

    if (argc != 3) {
        return 1;
    }

    ctx = SSL_CTX_new(TLS_server_method());

    if (ctx == NULL
        || SSL_CTX_set_num_tickets(ctx, 0) != 1
        || SSL_CTX_use_certificate_chain_file(ctx, argv[1]) != 1
        || SSL_CTX_use_PrivateKey_file(ctx, argv[2], SSL_FILETYPE_PEM) != 1)
    {
        return 1;
    }

    len = sizeof(sin);
    memset(&sin, 0, len);

    sin.sin_family = AF_INET;
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd == -1
        || bind(fd, (struct sockaddr *) &sin, len) == -1
        || listen(fd, 16) == -1
        || getsockname(fd, (struct sockaddr *) &sin, &len) == -1)
    {
        return 1;
    }

    printf("%d\n", ntohs(sin.sin_port));
    fflush(stdout);

    for ( ;; ) {
        s = accept(fd, NULL, NULL);

        if (s == -1) {
            return 1;
        }

        ssl = SSL_new(ctx);
        SSL_set_fd(ssl, s);

        if (SSL_accept(ssl) == 1) {
            serve(ssl);
        }

        SSL_free(ssl);
        close(s);
    }
}


static void
serve(SSL *ssl)
{
    int            i, n;
    char           buf[8192], text[64 + 1], *key;
    unsigned int   len;
    unsigned char  digest[EVP_MAX_MD_SIZE], value[32];

    n = SSL_read(ssl, buf, sizeof(buf) - 1);

    if (n <= 0) {
        return;
    }

    buf[n] = '\0';
    key = strstr(buf, "Sec-WebSocket-Key: ");

    if (key == NULL) {
        return;
    }

    snprintf(text, sizeof(text), "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
             key + sizeof("Sec-WebSocket-Key: ") - 1);

    EVP_Digest(text, strlen(text), digest, &len, EVP_sha1(), NULL);
    EVP_EncodeBlock(value, digest, (int) len);

    n = snprintf(buf, sizeof(buf), "HTTP/1.1 101 X\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                 (char *) value);

    SSL_write(ssl, buf, n);

    for (i = 0; i < 3; i++) {
        usleep(10000);

        SSL_new_session_ticket(ssl);
        SSL_do_handshake(ssl);
        SSL_write(ssl, "\x81\x02hi", 4);
    }

    SSL_write(ssl, "\x88\x02\x03\xe8", 4);
    SSL_read(ssl, buf, sizeof(buf));
}
