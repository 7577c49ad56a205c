/* ir/carrier.c - a vendor's proof on its way through another vendor's dialect. */
#include "ir/carrier.h"

#include "base/base64.h"

#define MARK IR_CARRIER_MARK
#define MARK64 IR_CARRIER_MARK64

struct str ir_carrier_pack(struct arena *a, const char *origin, struct str proof)
{
	return arena_printf(a, MARK "%s.%.*s", origin, STR_ARG(proof));
}

bool ir_carrier_is(struct str value)
{
	return str_starts(value, STR(MARK)) || str_starts(value, STR(MARK64));
}

struct str ir_carrier_pack_base64(struct arena *a, const char *origin, struct str proof)
{
	struct str plain = ir_carrier_pack(a, origin, proof), packed = STR_NONE;
	struct buf b;

	buf_init(&b, 2 * plain.len + 8);
	if (str_present(plain))
		base64_encode(&b, plain);
	if (buf_ok(&b) && str_present(plain))
		packed = arena_dup(a, buf_str(&b));
	buf_done(&b);
	return packed;
}

bool ir_carrier_unpack(struct arena *a, struct str value, struct str *ret_origin,
		       struct str *ret_proof)
{
	struct str rest = value, origin;

	if (str_starts(value, STR(MARK64)))
		rest = base64_decode(a, value);
	if (!str_present(rest) || !str_starts(rest, STR(MARK)))
		return false;
	rest = str_from_offset(rest, strlen(MARK));
	origin = str_cut(&rest, '.');
	if (!str_present(rest) || origin.len == 0)
		return false;
	*ret_origin = origin;
	*ret_proof = rest;
	return true;
}
