/* X.509 certificates as a source of RSA keys: Google publishes its signing keys in this form, too, under
 * …/robot/v1/metadata/x509/…. Only the key is used, as Firebase's own libraries do: the certificate is trusted because
 * of where it was fetched, not because of who signed it, and its dates are not looked at. OpenSSL reads it; the key
 * goes on as a JSON Web Key, so that there is one way of making a jwt_key. */
#include "auth/certificate.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/base64.h"
#include "base/error.h"
#include "base/memory.h"

/* One number of the key, as base64url; false when the key has none of that name. */
static bool set_number(json_t *jwk, const char *name, const EVP_PKEY *key, const char *parameter)
{
    BIGNUM *number = NULL;
    if (!EVP_PKEY_get_bn_param(key, parameter, &number))
        return false;
    size_t length = (size_t)BN_num_bytes(number);
    uint8_t *bytes = memory_array(length, 1);
    buffer text = {0};
    bool set = bytes && BN_bn2bin(number, bytes) > 0 && !base64_encode_url(bytes, length, &text) &&
               !json_object_set_new(jwk, name, json_string(buffer_text(&text)));
    buffer_done(&text);
    memory_free(bytes);
    BN_free(number);
    return set;
}

mien_status jwt_key_from_certificate(const char *pem, jwt_key **key, mien_error *error)
{
    size_t length = strlen(pem);
    BIO *source = length && length < INT_MAX ? BIO_new_mem_buf(pem, (int)length) : NULL;
    X509 *certificate = source ? PEM_read_bio_X509(source, NULL, NULL, NULL) : NULL;
    EVP_PKEY *public_key = certificate ? X509_get_pubkey(certificate) : NULL;
    json_t *jwk = json_pack("{ss}", "kty", "RSA");
    mien_status status;
    if (public_key && EVP_PKEY_is_a(public_key, "RSA") && set_number(jwk, "n", public_key, OSSL_PKEY_PARAM_RSA_N) &&
        set_number(jwk, "e", public_key, OSSL_PKEY_PARAM_RSA_E))
        status = jwt_key_from_jwk(jwk, key, error);
    else
        status = error_set(error, MIEN_EFORMAT, "not a certificate of an RSA key");
    json_decref(jwk);
    EVP_PKEY_free(public_key);
    X509_free(certificate);
    BIO_free(source);
    return status;
}
