/* policy/proof_memory.c - a fixed table of words, eight to a set, each read and written whole.
 *
 * A word is half a hash of the proof and who it is about; the other half of the hash says which set. Two threads that write at once
 * lose one of two words at the worst. Proofs are kilobytes of what looks like noise: its two ends tell it from all others.
 */
#include "policy/proof_memory.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/hash.h"

enum { N_SETS = 1 << 15, WAYS = 8, ENDS = 64 };

#define REFUSED UINT32_MAX

struct proof_memory {
	_Atomic uint64_t words[N_SETS][WAYS]; /* 0: nothing */
};

struct proof_memory *proof_memory_new(void)
{
	return calloc(1, sizeof(struct proof_memory));
}

struct proof_memory *proof_memory_free(struct proof_memory *m)
{
	free(m);
	return NULL;
}

/* FNV-1a leaves its upper bits to the last few bytes. */
static uint64_t mix(uint64_t h)
{
	h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdULL;
	h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53ULL;
	return h ^ (h >> 33);
}

static uint64_t hash_of(struct str proof)
{
	size_t n = proof.len < ENDS ? proof.len : ENDS;
	struct str head = { proof.ptr, n }, tail = { proof.ptr + proof.len - n, n };

	return mix(hash_fnv(head) + mix(hash_fnv(tail) + proof.len));
}

static uint32_t short_hash(struct str s)
{
	return (uint32_t)mix(hash_fnv(s)) & 0x7fff;
}

/* Who minted it: never REFUSED. */
static uint32_t owner_of(const struct proof_account *a)
{
	return short_hash(a->name) << 16 | short_hash(str_from(a->minter));
}

/* A refusal is about a proof and an account at once. */
static uint64_t refusal_of(const struct proof_account *by, uint64_t proof)
{
	return mix(proof ^ mix(hash_fnv(by->name)));
}

static _Atomic uint64_t *find(const struct proof_memory *m, uint64_t hash, uint64_t *ret_word)
{
	_Atomic uint64_t *set = (_Atomic uint64_t *)m->words[hash % N_SETS];

	for (unsigned i = 0; i < WAYS; i++) {
		*ret_word = atomic_load_explicit(&set[i], memory_order_relaxed);
		if (*ret_word && *ret_word >> 32 == hash >> 32)
			return &set[i];
	}
	return NULL;
}

static void note(struct proof_memory *m, uint64_t hash, uint32_t about)
{
	uint64_t word = (hash >> 32) << 32 | about, old;
	_Atomic uint64_t *at = find(m, hash, &old);

	if (at && old == word)
		return; /* the usual case must not dirty a cache line that all workers share */
	for (unsigned i = 0; !at && i < WAYS; i++)
		if (!atomic_load_explicit(&m->words[hash % N_SETS][i], memory_order_relaxed))
			at = &m->words[hash % N_SETS][i];
	if (!at)
		at = &m->words[hash % N_SETS][(hash >> 29) % WAYS];
	atomic_store_explicit(at, word, memory_order_relaxed);
}

void proof_memory_minted(struct proof_memory *m, const struct proof_account *by, struct str proof)
{
	if (proof.len)
		note(m, hash_of(proof), owner_of(by));
}

void proof_memory_refused(struct proof_memory *m, const struct proof_account *by, struct str proof)
{
	if (proof.len)
		note(m, refusal_of(by, hash_of(proof)), REFUSED);
}

enum proof_verdict proof_memory_ask(const struct proof_memory *m, const struct proof_account *by,
				    struct str proof)
{
	uint64_t hash = proof.len ? hash_of(proof) : 0, word;
	uint32_t owner = owner_of(by);

	if (!proof.len)
		return PROOF_UNKNOWN;
	if (find(m, refusal_of(by, hash), &word) && (uint32_t)word == REFUSED)
		return PROOF_REFUSED;
	if (!find(m, hash, &word) || (uint32_t)word == REFUSED)
		return PROOF_UNKNOWN;
	if ((uint32_t)word == owner)
		return PROOF_OWN;
	return (word & 0xffff) == (owner & 0xffff) ? PROOF_KIN : PROOF_FOREIGN;
}
