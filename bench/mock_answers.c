/* bench/mock_answers.c - what the mock upstream says, dialect by dialect. Shapes and sizes are those of recorded traffic. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "mock_answers.h"

#define PROSE                                                                                      \
	"The keeper of the light went up the stairs twice each night, once to wind the clockwork " \
	"and once to trim the wick, and wrote both hours down."

/* ---- OpenAI Chat ---- */

#define CHAT_IDS                                                                              \
	"\"id\":\"chatcmpl-CbX9yqz1vWmJ3kTn8RfLpQ2sHdA7u\",\"object\":\"chat.completion%s\"," \
	"\"created\":1763721600,\"model\":\"gpt-4o-mini-2024-07-18\","
#define CHAT_TAIL "\"service_tier\":\"default\",\"system_fingerprint\":\"fp_560af6e559\""
#define CHAT_USAGE                                                                  \
	"{\"prompt_tokens\":212,\"completion_tokens\":64,\"total_tokens\":276,"     \
	"\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},"       \
	"\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0," \
	"\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}"

static int chat_whole(const struct mock_stream *s, char *out, size_t cap)
{
	return snprintf(out, cap,
			"{" CHAT_IDS
			"\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
			"\"content\":\"~%s 0 0~ " PROSE "\",\"refusal\":null,\"annotations\":[]},"
			"\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":" CHAT_USAGE
			"," CHAT_TAIL "}",
			"", s->nonce);
}

static const char *no_usage(const struct mock_stream *s)
{
	return s->include_usage ? ",\"usage\":null" : "";
}

static int chat_opening(const struct mock_stream *s, unsigned i, char *out, size_t cap)
{
	(void)i;
	return snprintf(out, cap,
			"data: {" CHAT_IDS CHAT_TAIL
			",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\","
			"\"content\":\"\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":"
			"null}]%s}\n\n",
			".chunk", no_usage(s));
}

static int chat_delta(struct mock_stream *s, uint64_t now, char *out, size_t cap)
{
	return snprintf(out, cap,
			"data: {" CHAT_IDS CHAT_TAIL
			",\"choices\":[{\"index\":0,\"delta\":{\"content\":"
			"\"~%s %u %llu~\"},\"logprobs\":null,\"finish_reason\":null}]%s}\n\n",
			".chunk", s->nonce, s->sent, (unsigned long long)now, no_usage(s));
}

static int chat_closing(const struct mock_stream *s, unsigned i, char *out, size_t cap)
{
	if (i == 0)
		return snprintf(out, cap,
				"data: {" CHAT_IDS CHAT_TAIL
				",\"choices\":[{\"index\":0,\"delta\":{},"
				"\"logprobs\":null,\"finish_reason\":\"stop\"}]%s}\n\n",
				".chunk", no_usage(s));
	if (i == 2)
		return snprintf(out, cap, "data: [DONE]\n\n");
	if (!s->include_usage)
		return 0;
	return snprintf(out, cap,
			"data: {" CHAT_IDS CHAT_TAIL ",\"choices\":[],\"usage\":" CHAT_USAGE
			"}\n\n",
			".chunk");
}

/* ---- OpenAI Responses ---- */

#define RESPONSE_HEAD                                                                      \
	"{\"id\":\"resp_68e7c1a2b4f08190a1b2c3d4e5f60718\",\"object\":\"response\","       \
	"\"created_at\":1763721600,\"status\":\"%s\",\"background\":false,\"error\":null," \
	"\"incomplete_details\":null,\"instructions\":null,\"max_output_tokens\":256,"     \
	"\"max_tool_calls\":null,\"model\":\"gpt-4o-mini-2024-07-18\",\"output\":["
#define RESPONSE_TAIL                                                                              \
	"],\"parallel_tool_calls\":true,\"previous_response_id\":null,\"prompt_cache_key\":null,"  \
	"\"reasoning\":{\"effort\":null,\"summary\":null},\"safety_identifier\":null,"             \
	"\"service_tier\":\"default\",\"store\":true,\"temperature\":0.7,\"text\":{\"format\":"    \
	"{\"type\":\"text\"},\"verbosity\":\"medium\"},\"tool_choice\":\"auto\",\"tools\":[],"     \
	"\"top_logprobs\":0,\"top_p\":1.0,\"truncation\":\"disabled\",\"usage\":%s,\"user\":null," \
	"\"metadata\":{}}"
#define RESPONSE_USAGE                                                             \
	"{\"input_tokens\":212,\"input_tokens_details\":{\"cached_tokens\":0},"    \
	"\"output_tokens\":64,\"output_tokens_details\":{\"reasoning_tokens\":0}," \
	"\"total_tokens\":276}"
#define ITEM_ID "msg_68e7c1a2b4f08190a1b2c3d4e5f60719"
#define TEXT_PART "{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":\"%.*s\"}"
#define TEXT_ITEM                                                                                \
	"{\"id\":\"" ITEM_ID "\",\"type\":\"message\",\"status\":\"%s\",\"content\":[%s%.*s%s]," \
	"\"role\":\"assistant\"}"
#define PART_BEFORE "{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":\""
#define PART_AFTER "\"}"
#define RESPONSE_EVENT(type) "event: " type "\ndata: {\"type\":\"" type "\",\"sequence_number\":%u,"
#define IN_ITEM "\"item_id\":\"" ITEM_ID "\",\"output_index\":0,\"content_index\":0,"

static int responses_whole(const struct mock_stream *s, char *out, size_t cap)
{
	return snprintf(out, cap,
			RESPONSE_HEAD
			"{\"id\":\"" ITEM_ID
			"\",\"type\":\"message\",\"status\":\"completed\",\"content\":[" PART_BEFORE
			"~%s 0 0~ " PROSE PART_AFTER "],\"role\":\"assistant\"}" RESPONSE_TAIL,
			"completed", s->nonce, RESPONSE_USAGE);
}

static int responses_opening(const struct mock_stream *s, unsigned i, char *out, size_t cap)
{
	(void)s;
	switch (i) {
	case 0:
		return snprintf(
			out, cap,
			RESPONSE_EVENT(
				"response.created") "\"response\":" RESPONSE_HEAD RESPONSE_TAIL
						    "}\n\n",
			i, "in_progress", "null");
	case 1:
		return snprintf(
			out, cap,
			RESPONSE_EVENT(
				"response.in_progress") "\"response\":" RESPONSE_HEAD RESPONSE_TAIL
							"}\n\n",
			i, "in_progress", "null");
	case 2:
		return snprintf(out, cap,
				RESPONSE_EVENT("response.output_item.added") "\"output_index\":0,"
									     "\"item\":" TEXT_ITEM
									     "}\n\n",
				i, "in_progress", "", 0, "", "");
	default:
		return snprintf(out, cap,
				RESPONSE_EVENT("response.content_part.added") IN_ITEM
				"\"part\":" TEXT_PART "}\n\n",
				i, 0, "");
	}
}

static int responses_delta(struct mock_stream *s, uint64_t now, char *out, size_t cap)
{
	char mark[64];
	int n = snprintf(mark, sizeof(mark), "~%s %u %llu~", s->nonce, s->sent,
			 (unsigned long long)now);

	bytes_add(&s->text, mark, (size_t)n);
	return snprintf(out, cap,
			RESPONSE_EVENT("response.output_text.delta") IN_ITEM
			"\"delta\":\"%s\",\"logprobs\":[]}\n\n",
			4 + s->sent, mark);
}

static int responses_closing(const struct mock_stream *s, unsigned i, char *out, size_t cap)
{
	unsigned number = 4 + s->sent + i;
	int len = (int)s->text.len;

	switch (i) {
	case 0:
		return snprintf(out, cap,
				RESPONSE_EVENT("response.output_text.done") IN_ITEM
				"\"text\":\"%.*s\",\"logprobs\":[]}\n\n",
				number, len, s->text.ptr);
	case 1:
		return snprintf(out, cap,
				RESPONSE_EVENT("response.content_part.done") IN_ITEM
				"\"part\":" TEXT_PART "}\n\n",
				number, len, s->text.ptr);
	case 2:
		return snprintf(out, cap,
				RESPONSE_EVENT("response.output_item.done") "\"output_index\":0,"
									    "\"item\":" TEXT_ITEM
									    "}\n\n",
				number, "completed", PART_BEFORE, len, s->text.ptr, PART_AFTER);
	default:
		return snprintf(
			out, cap,
			RESPONSE_EVENT("response.completed") "\"response\":" RESPONSE_HEAD TEXT_ITEM
				RESPONSE_TAIL "}\n\n",
			number, "completed", "completed", PART_BEFORE, len, s->text.ptr, PART_AFTER,
			RESPONSE_USAGE);
	}
}

/* ---- Anthropic Messages ---- */

#define ANTHROPIC_HEAD                                                                         \
	"\"id\":\"msg_01XFDUDYJgAACzvnptvVoYEL\",\"type\":\"message\",\"role\":\"assistant\"," \
	"\"model\":\"claude-sonnet-4-5-20250929\""
#define ANTHROPIC_USAGE                                                                          \
	"{\"input_tokens\":212,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0," \
	"\"cache_creation\":{\"ephemeral_5m_input_tokens\":0,\"ephemeral_1h_input_tokens\":0},"  \
	"\"output_tokens\":%u,\"service_tier\":\"standard\"}"
#define ANTHROPIC_EVENT(type, fields) "event: " type "\ndata: {\"type\":\"" type "\"" fields "}\n\n"

static int anthropic_whole(const struct mock_stream *s, char *out, size_t cap)
{
	return snprintf(
		out, cap,
		"{" ANTHROPIC_HEAD ",\"content\":[{\"type\":\"text\",\"text\":\"~%s 0 0~ " PROSE
		"\"}],"
		"\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":" ANTHROPIC_USAGE
		"}",
		s->nonce, 64u);
}

static int anthropic_opening(const struct mock_stream *s, unsigned i, char *out, size_t cap)
{
	(void)s;
	if (i == 0)
		return snprintf(out, cap,
				ANTHROPIC_EVENT("message_start",
						",\"message\":{" ANTHROPIC_HEAD
						",\"content\":[],\"stop_reason\":null,"
						"\"stop_sequence\":null,\"usage\":" ANTHROPIC_USAGE
						"}"),
				1u);
	if (i == 1)
		return snprintf(out, cap, "%s",
				ANTHROPIC_EVENT("content_block_start",
						",\"index\":0,\"content_block\":{\"type\":\"text\","
						"\"text\":\"\"}"));
	return snprintf(out, cap, "%s", ANTHROPIC_EVENT("ping", ""));
}

static int anthropic_delta(struct mock_stream *s, uint64_t now, char *out, size_t cap)
{
	return snprintf(out, cap,
			ANTHROPIC_EVENT("content_block_delta",
					",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":"
					"\"~%s %u %llu~\"}"),
			s->nonce, s->sent, (unsigned long long)now);
}

static int anthropic_closing(const struct mock_stream *s, unsigned i, char *out, size_t cap)
{
	if (i == 0)
		return snprintf(out, cap, "%s",
				ANTHROPIC_EVENT("content_block_stop", ",\"index\":0"));
	if (i == 2)
		return snprintf(out, cap, "%s", ANTHROPIC_EVENT("message_stop", ""));
	return snprintf(
		out, cap,
		ANTHROPIC_EVENT("message_delta",
				",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},"
				"\"usage\":{\"output_tokens\":%u}"),
		s->deltas);
}

/* ---- Gemini: CRLF, no event names, usage in every chunk, no end of its own ---- */

#define GEMINI_TAIL                                                                \
	"\"usageMetadata\":{\"promptTokenCount\":212,\"candidatesTokenCount\":%u," \
	"\"totalTokenCount\":%u,"                                                  \
	"\"promptTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":212}]},"   \
	"\"modelVersion\":\"gemini-2.5-flash\",\"responseId\":\"Zq8daYz1K4m3xN8P1rWQoAk\"}"
#define GEMINI_PARTS                                                                         \
	"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"%s\"}],\"role\":\"model\"},%" \
	"s\"index\":0}],"

static int gemini_whole(const struct mock_stream *s, char *out, size_t cap)
{
	char text[512];

	snprintf(text, sizeof(text), "~%s 0 0~ " PROSE, s->nonce);
	return snprintf(out, cap, GEMINI_PARTS GEMINI_TAIL, text, "\"finishReason\":\"STOP\",", 64u,
			276u);
}

static int gemini_delta(struct mock_stream *s, uint64_t now, char *out, size_t cap)
{
	char mark[64];

	snprintf(mark, sizeof(mark), "~%s %u %llu~", s->nonce, s->sent, (unsigned long long)now);
	return snprintf(out, cap, "data: " GEMINI_PARTS GEMINI_TAIL "\r\n\r\n", mark, "",
			s->sent + 1, 213 + s->sent);
}

static int gemini_closing(const struct mock_stream *s, unsigned i, char *out, size_t cap)
{
	(void)i;
	return snprintf(out, cap, "data: " GEMINI_PARTS GEMINI_TAIL "\r\n\r\n", "",
			"\"finishReason\":\"STOP\",", s->deltas, 212 + s->deltas);
}

/* ---- Ollama: a JSON object a line ---- */

#define OLLAMA_LINE                                                               \
	"{\"model\":\"llama3.2\",\"created_at\":\"2025-11-21T10:40:00.123456Z\"," \
	"\"message\":{\"role\":\"assistant\",\"content\":\"%s\"},"
#define OLLAMA_DONE                                                                               \
	"\"done_reason\":\"stop\",\"done\":true,\"total_duration\":1524309875,\"load_duration\":" \
	"51234567,"                                                                               \
	"\"prompt_eval_count\":212,\"prompt_eval_duration\":98765432,\"eval_count\":64,"          \
	"\"eval_duration\":1370000000}"

static int ollama_whole(const struct mock_stream *s, char *out, size_t cap)
{
	char text[512];

	snprintf(text, sizeof(text), "~%s 0 0~ " PROSE, s->nonce);
	return snprintf(out, cap, OLLAMA_LINE OLLAMA_DONE, text);
}

static int ollama_delta(struct mock_stream *s, uint64_t now, char *out, size_t cap)
{
	char mark[64];

	snprintf(mark, sizeof(mark), "~%s %u %llu~", s->nonce, s->sent, (unsigned long long)now);
	return snprintf(out, cap, OLLAMA_LINE "\"done\":false}\n", mark);
}

static int ollama_closing(const struct mock_stream *s, unsigned i, char *out, size_t cap)
{
	(void)s;
	(void)i;
	return snprintf(out, cap, OLLAMA_LINE OLLAMA_DONE "\n", "");
}

#define SSE "text/event-stream; charset=utf-8"

const struct answerer answerers[N_DIALECTS] = {
	[CHAT] = { SSE, 1, 3, chat_opening, chat_delta, chat_closing, chat_whole },
	[RESPONSES] = { SSE, 4, 4, responses_opening, responses_delta, responses_closing,
			responses_whole },
	[ANTHROPIC] = { SSE, 3, 3, anthropic_opening, anthropic_delta, anthropic_closing,
			anthropic_whole },
	[GEMINI] = { "text/event-stream", 0, 1, NULL, gemini_delta, gemini_closing, gemini_whole },
	[OLLAMA] = { "application/x-ndjson", 0, 1, NULL, ollama_delta, ollama_closing,
		     ollama_whole },
};
