/* cli/version.c - `version`: what this is made of. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <uv.h>

#include "cli/cli.h"
#include "json/write.h"

int cli_version(const struct cli *c)
{
	bool json = false;
	const struct cli_option options[] = { { "json", NULL, &json } };
	struct buf out;
	struct jw w = jw_on(&out);

	if (cli_parse(c, options, 1, NULL, 0) < 0)
		return EXIT_USAGE;
	if (!json) {
		printf("llm-gateway %s\nlibuv %s\n%s\n", GW_VERSION, uv_version_string(),
		       OpenSSL_version(OPENSSL_VERSION));
		return EXIT_OK;
	}
	buf_init(&out, 4096);
	jw_obj(&w);
	jw_kcstr(&w, "version", GW_VERSION);
	jw_kcstr(&w, "libuv", uv_version_string());
	jw_kcstr(&w, "openssl", OpenSSL_version(OPENSSL_VERSION));
	jw_end_obj(&w);
	printf("%.*s\n", STR_ARG(buf_str(&out)));
	buf_done(&out);
	return EXIT_OK;
}
