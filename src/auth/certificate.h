/* The RSA key of an X.509 certificate. */
#ifndef AUTH_CERTIFICATE_H
#define AUTH_CERTIFICATE_H

#include "auth/jwt.h"

/** `pem` begins with "-----BEGIN CERTIFICATE-----". MIEN_EFORMAT when it holds no RSA key of 2048 bits or more. */
mien_status jwt_key_from_certificate(const char *pem, jwt_key **key, mien_error *error);

#endif
