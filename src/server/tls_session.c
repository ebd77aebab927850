/* OpenSSL with memory BIOs. libwebsockets can do TLS, but takes over connections that negotiate HTTP/2, and its HTTP/2
 * of this version breaks off connections whose last DATA frame is followed by another frame in one read. TLS 1.2 and
 * later, OpenSSL's own choice of ciphers. */
#include "server/tls_session.h"

#include "base/error.h"
#include "base/memory.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

struct tls_context {
    SSL_CTX *ssl;
};

struct tls_session {
    SSL *ssl;
    BIO *in, *out; /* owned by ssl */
};

static const unsigned char protocols[] = "\x02h2\x08http/1.1";

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *length, const unsigned char *offered,
                           unsigned int offered_length, void *context)
{
    (void)ssl;
    (void)context;
    int chosen =
        SSL_select_next_proto((unsigned char **)out, length, protocols, sizeof protocols - 1, offered, offered_length);
    return chosen == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static mien_status unusable(const char *setting, const char *path, mien_error *error)
{
    char reason[120];
    ERR_error_string_n(ERR_peek_last_error(), reason, sizeof reason);
    ERR_clear_error();
    return error_set(error, MIEN_EINVAL, "%s %.80s cannot be used: %s", setting, path, reason);
}

mien_status tls_context_create(const char *certificate, const char *key, tls_context **out, mien_error *error)
{
    tls_context *context = memory_zeroed(1, sizeof *context);
    if (!context)
        return error_no_memory(error, sizeof *context);
    mien_status status = MIEN_OK;
    context->ssl = SSL_CTX_new(TLS_server_method());
    if (!context->ssl)
        status = error_no_memory(error, 0);
    else if (SSL_CTX_use_certificate_chain_file(context->ssl, certificate) != 1)
        status = unusable("TLS_CERTIFICATE", certificate, error);
    else if (SSL_CTX_use_PrivateKey_file(context->ssl, key, SSL_FILETYPE_PEM) != 1 ||
             SSL_CTX_check_private_key(context->ssl) != 1)
        status = unusable("TLS_KEY", key, error);
    if (status) {
        tls_context_destroy(&context);
        return status;
    }
    SSL_CTX_set_min_proto_version(context->ssl, TLS1_2_VERSION);
    SSL_CTX_set_mode(context->ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(context->ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_alpn_select_cb(context->ssl, choose_protocol, NULL);
    *out = context;
    return MIEN_OK;
}

void tls_context_destroy(tls_context **context)
{
    if (!*context)
        return;
    SSL_CTX_free((*context)->ssl);
    memory_free(*context);
    *context = NULL;
}

tls_session *tls_session_create(tls_context *context)
{
    tls_session *session = memory_zeroed(1, sizeof *session);
    if (!session)
        return NULL;
    session->ssl = SSL_new(context->ssl);
    session->in = BIO_new(BIO_s_mem());
    session->out = BIO_new(BIO_s_mem());
    if (!session->ssl || !session->in || !session->out) {
        SSL_free(session->ssl);
        BIO_free(session->in);
        BIO_free(session->out);
        memory_free(session);
        return NULL;
    }
    SSL_set_bio(session->ssl, session->in, session->out);
    SSL_set_accept_state(session->ssl);
    return session;
}

void tls_session_destroy(tls_session **session)
{
    if (!*session)
        return;
    SSL_free((*session)->ssl);
    memory_free(*session);
    *session = NULL;
}

/* Move what OpenSSL wants sent. */
static bool drain(tls_session *session, buffer *wire)
{
    size_t waiting = BIO_ctrl_pending(session->out);
    if (!waiting)
        return true;
    if (buffer_reserve(wire, waiting))
        return false;
    int moved = BIO_read(session->out, wire->data + wire->length, (int)waiting);
    wire->length += moved > 0 ? (size_t)moved : 0;
    return moved == (int)waiting;
}

bool tls_session_receive(tls_session *session, const uint8_t *bytes, size_t length, buffer *plain, buffer *wire)
{
    ERR_clear_error();
    if (BIO_write(session->in, bytes, (int)length) != (int)length)
        return false;
    bool fine = true;
    for (int got = 1; got > 0;) {
        if (buffer_reserve(plain, 16384))
            return false;
        got = SSL_read(session->ssl, plain->data + plain->length, 16384); /* the handshake, too */
        if (got > 0)
            plain->length += (size_t)got;
        else
            fine = SSL_get_error(session->ssl, got) == SSL_ERROR_WANT_READ;
    }
    return drain(session, wire) && fine;
}

bool tls_session_send(tls_session *session, const uint8_t *bytes, size_t length, buffer *wire)
{
    ERR_clear_error();
    while (length) {
        int part = length < 65536 ? (int)length : 65536, taken = SSL_write(session->ssl, bytes, part);
        if (taken <= 0 || !drain(session, wire))
            return false;
        bytes += taken;
        length -= (size_t)taken;
    }
    return true;
}

void tls_session_finish(tls_session *session, buffer *wire)
{
    ERR_clear_error();
    if (SSL_is_init_finished(session->ssl))
        SSL_shutdown(session->ssl);
    drain(session, wire);
}

bool tls_session_established(const tls_session *session)
{
    return SSL_is_init_finished(session->ssl);
}

bool tls_session_is_h2(const tls_session *session)
{
    const unsigned char *name = NULL;
    unsigned int length = 0;
    SSL_get0_alpn_selected(session->ssl, &name, &length);
    return length == 2 && !memcmp(name, "h2", 2);
}
