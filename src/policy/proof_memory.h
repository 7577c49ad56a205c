/* policy/proof_memory.h - who minted which proof, as far as it passed through this process.
 *
 * What a vendor encrypts or signs is of use to that account alone, or to others of its organisation, and does not say so. An
 * answer's proofs are noted with the account that gave it; a proof that an account refused is noted too. When a conversation moves, what
 * the new account could not read is then known before it is asked.
 *
 * Nothing of a proof is kept but a few bits of a hash. The table has one size and forgets at random when it is full; what it
 * does not know is tried. Any thread, no locks. Found by accounts' names, so it outlives reloads.
 */
#ifndef GW_POLICY_PROOF_MEMORY_H
#define GW_POLICY_PROOF_MEMORY_H

#include "base/str.h"

struct proof_memory;

/* NULL when memory is out. */
struct proof_memory *proof_memory_new(void);
struct proof_memory *proof_memory_free(struct proof_memory *m); /* NULL is a no-op; always NULL */

struct proof_account {
	struct str name;    /* the operator's for the account */
	const char *minter; /* its vendor (account_minter()) */
};

enum proof_verdict {
	PROOF_UNKNOWN,
	PROOF_OWN,     /* the account minted it */
	PROOF_KIN,     /* another account of the same vendor did: it may be able to read it */
	PROOF_FOREIGN, /* an account of another vendor did */
	PROOF_REFUSED, /* the account has refused it, whoever minted it */
};

/* An empty or absent proof is never noted, and unknown. */
void proof_memory_minted(struct proof_memory *m, const struct proof_account *by, struct str proof);
void proof_memory_refused(struct proof_memory *m, const struct proof_account *by, struct str proof);
enum proof_verdict proof_memory_ask(const struct proof_memory *m, const struct proof_account *by,
				    struct str proof);

#endif
