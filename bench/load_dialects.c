/* bench/load_dialects.c - how the load generator asks in each dialect, and what it looks for in the answer. */
#include "load_dialects.h"

#define MESSAGES                                                                            \
	"{\"model\":\"%s\",\"max_tokens\":256,\"temperature\":0.7,\"messages\":[{\"role\":" \
	"\"user\",\"content\":\""
#define BEARER "authorization: Bearer %s\r\n"

const struct asker askers[N_DIALECTS] = {
	[CHAT] = { .name = "chat",
		   .path = "/v1/chat/completions",
		   .credential = BEARER,
		   .before = MESSAGES,
		   .after = "\"}]}",
		   .after_stream = "\"}],\"stream\":true}",
		   .end = "data: [DONE]",
		   .error = "\"error\"" },
	[RESPONSES] = { .name = "responses",
			.path = "/v1/responses",
			.credential = BEARER,
			.before = "{\"model\":\"%s\",\"max_output_tokens\":256,\"temperature\":0.7,"
				  "\"store\":false,"
				  "\"input\":\"",
			.after = "\"}",
			.after_stream = "\",\"stream\":true}",
			.end = "event: response.completed",
			.bye = "data: [DONE]",
			.only = "event: response.output_text.delta",
			.error = "event: response.failed" },
	[ANTHROPIC] = { .name = "anthropic",
			.path = "/v1/messages",
			.credential = "x-api-key: %s\r\nanthropic-version: 2023-06-01\r\n",
			.before = MESSAGES,
			.after = "\"}]}",
			.after_stream = "\"}],\"stream\":true}",
			.end = "event: message_stop",
			.error = "\"error\"" },
	[GEMINI] = { .name = "gemini",
		     .path = "/v1beta/models/%s:generateContent",
		     .stream_path = "/v1beta/models/%s:streamGenerateContent?alt=sse",
		     .credential = "x-goog-api-key: %s\r\n",
		     .before =
			     "{\"generationConfig\":{\"maxOutputTokens\":256,\"temperature\":0.7},"
			     "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"",
		     .after = "\"}]}]}",
		     .after_stream = "\"}]}]}",
		     .end = "\"finishReason\"",
		     .error = "\"error\"" },
	[OLLAMA] = { .name = "ollama",
		     .path = "/api/chat",
		     .credential = BEARER,
		     .before = "{\"model\":\"%s\",\"options\":{\"num_predict\":256,\"temperature\":"
			       "0.7},"
			       "\"messages\":[{\"role\":\"user\",\"content\":\"",
		     .after = "\"}],\"stream\":false}",
		     .after_stream = "\"}]}",
		     .end = "\"done\":true",
		     .error = "\"error\"",
		     .lines = true },
};

enum dialect asker_find(const char *name)
{
	for (int d = 0; d < N_DIALECTS; d++)
		if (strcmp(name, askers[d].name) == 0)
			return (enum dialect)d;
	return N_DIALECTS;
}
