/* tests/unit/certs.h - certificates made on the spot: one authority, and what it signs. */
#ifndef GW_TESTS_CERTS_H
#define GW_TESTS_CERTS_H

#include <stdlib.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "check.h"

struct certs {
	char dir[32];
	char ca[64], cert[64], key[64];
};

static inline void certs_extend(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

static inline X509 *certs_make(EVP_PKEY *key, const char *name, X509 *issuer, EVP_PKEY *issuer_key,
			       const char *alt)
{
	X509 *x = X509_new();

	assert_non_null(x);
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), issuer ? 2 : 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
				   (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer : x));
	if (alt)
		certs_extend(x, issuer, NID_subject_alt_name, alt);
	else
		certs_extend(x, x, NID_basic_constraints, "critical,CA:TRUE");
	assert_true(X509_sign(x, issuer_key, EVP_sha256()) > 0);
	return x;
}

static inline FILE *certs_open(char *path, size_t n, const char *dir, const char *name)
{
	FILE *f;

	snprintf(path, n, "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	return f;
}

/* `alt`: for example "DNS:localhost,IP:127.0.0.1". */
static inline void certs_init(struct certs *c, const char *alt)
{
	EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
	X509 *ca, *cert;
	FILE *f;

	*c = (struct certs){ .dir = "/tmp/gw-certs-XXXXXX" };
	assert_non_null(mkdtemp(c->dir));
	ca = certs_make(ca_key, "Test Authority", NULL, ca_key, NULL);
	cert = certs_make(key, "server", ca, ca_key, alt);
	f = certs_open(c->ca, sizeof(c->ca), c->dir, "ca.pem");
	PEM_write_X509(f, ca);
	fclose(f);
	f = certs_open(c->cert, sizeof(c->cert), c->dir, "cert.pem");
	PEM_write_X509(f, cert);
	fclose(f);
	f = certs_open(c->key, sizeof(c->key), c->dir, "key.pem");
	PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
	fclose(f);
	X509_free(ca);
	X509_free(cert);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
}

static inline void certs_done(struct certs *c)
{
	unlink(c->ca);
	unlink(c->cert);
	unlink(c->key);
	rmdir(c->dir);
}

#endif
