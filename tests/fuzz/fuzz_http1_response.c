/* tests/fuzz/fuzz_http1_response.c - arbitrary bytes where responses are expected. */
#include "http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_http1(HTTP1_RESPONSES, data, size);
}
