/* The session table as Promela: words, worker, freer, successor. Every model includes this file after its parameters.
 *
 * One step is one access to shared memory, and steps interleave in one global order: sequential consistency is
 * assumed. `d_step` holds exactly one shared access and the private work that follows it; where a step touches more
 * than one shared variable the others are ghosts (marked) that only the properties read, or the step says why.
 * docs/design/0002-session-table-protocols.md names the rules, what is abstracted and what each model covers.
 *
 * Parameters, before the include:
 *   SLOTS WORDS FLOWS PACKETS0 PACKETS1 TICKS ROUNDS DEATHS   sizes: packets of each worker, clock, batches, deaths of the freer
 *   TRANSLATED   flows share the candidates of one translated address; else flow 1 is flow 0 from the other side
 *   START        fills the table: STOCK, SESSION
 *   FINE ANY_PLACE RACES MARKS REVIVE ORDERS INSTALL WORKER_DIES ADOPT_AT_START REDO_ONLY ADOPT_ONLY   what takes part
 *   WITH_... WITHOUT_...   a rule changed or left out: must_fail/
 */
#ifndef SLOTS
#define SLOTS 3
#endif
#ifndef WORDS
#define WORDS 4
#endif
#ifndef FLOWS
#define FLOWS 1
#endif
#ifndef PACKETS0
#define PACKETS0 1
#endif
#ifndef PACKETS1
#define PACKETS1 1
#endif
#ifndef TICKS
#define TICKS 0
#endif
#ifndef ROUNDS
#define ROUNDS 0
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef HOME
#define HOME(x) ((x) % 2) /* the ring a freed slot goes to */
#endif
#define TIMEOUT 2
#define RING 4

#define FWD(f) (1 + (f))
#ifdef TRANSLATED
#define REPLIES 2
#define REPLY(f, n) (3 + (n))
#else
#define REPLIES 1
#define REPLY(f, n) (2 - (f))
#endif

/* A slot for each worker; slot 2 holds flow 0, last seen at 0. */
#define STOCK ring[0] = 0; head[0] = 1; ring[RING] = 1; head[1] = 1
#define SESSION gen[2] = 1; key[4] = FWD(0); key[5] = REPLY(0, 0); state[2] = MAKE(LIVE, 1); entry[0] = REF(2, 0); entry[1] = REF(2, 1)
#define ID_ORDERED 1 /* orders of deletion name the session of this gen */

/* The state word: lifecycle, who creates (in CREATING), and the incarnation, the low bits of gen / 2. */
#define FREE 0
#define LIVE 1
#define DYING 2
#define DYING_ADMIN 3
#define DEAD 4
#define CREATING(w) (5 + (w)) /* 5, 6: a worker; 7: the agent */
#define AGENT 2
#define KIND(word) ((word) & 7)
#define IS_CREATING(word) (KIND(word) >= 5)
#define MARK 8 /* stands for TCP phase, flow bits and dirty: what packets change */
#define WITH_KIND(word, k) (((word) & 248) | (k))
#ifdef WITH_GEN_CHECKED_AFTER_CAS
#define WITHOUT_INCARNATION
#endif
#ifdef WITHOUT_INCARNATION
#define MAKE(k, g) (k)
#define SAME_LIFE(word, g) true
#else
#define MAKE(k, g) ((k) | ((((g) / 2) % 8) * 16))
#define SAME_LIFE(word, g) ((word) / 16 == ((g) / 2) % 8)
#endif
#define ODD(g) ((g) % 2)
#define REF(s, dir) ((s) * 2 + (dir) + 1) /* an entry; all tags are equal: the record must be compared every time */
#define SLOT(e) (((e) - 1) / 2)

byte gen[SLOTS];
byte state[SLOTS];
byte key[2 * SLOTS]; /* by REF - 1: the forward tuple, the reply tuple */
byte seen[SLOTS];
byte entry[WORDS];   /* both buckets of every tuple: they all share one pair */
byte ring[2 * RING], head[2], tail[2];
byte spare[2];       /* slot + 1 */
byte mine;           /* slots in the agent's private list: a mask, lost when it dies */
byte now;
bit busy[2];         /* quiescence: set at the first instruction of a burst, cleared after the last */
byte waiting;        /* workers the running grace waits for */
bit dead[2];         /* the worker was killed, and the system has said so */
bit gone;            /* worker 0 has ended, killed or not */
bit kill_worker;

/* Work in progress of the freer (R5). */
byte phase;
byte count;
byte batch[SLOTS];
byte heads[2];
#define IDLE 0
#define CHOSEN 1
#define GRACED 2
#define CLEARED 3
#define PUSHING 4

/* Ghosts: read by the properties only. */
byte accepted[SLOTS]; /* time of the newest packet accepted by the session */
byte held[2];         /* slot + 1 the worker's lookup returned in this burst */
#ifdef RACES /* P6: a packet is dropped as create_race only if another creator, or the freer, was at work meanwhile */
bit overlap[2], creating[2], closing;
#define BEGIN_CREATE creating[w] = 1; overlap[w] = creating[1 - w] || closing; overlap[1 - w] = 1
#define END_CREATE creating[w] = 0
#define CLOSING closing = 1; overlap[0] = 1; overlap[1] = 1
#define CLOSED closing = 0
#define JUSTIFIED d_step { assert(overlap[w]); overlap[w] = 0 }
#else
#define BEGIN_CREATE skip
#define END_CREATE skip
#define CLOSING skip
#define CLOSED skip
#define JUSTIFIED skip
#endif

/* P1: a session is alive from the first LIVE to DEAD. */
#define ALIVE(s) (KIND(state[s]) == LIVE || KIND(state[s]) == DYING || KIND(state[s]) == DYING_ADMIN)
#define SHARES(a, b) (key[2*(a)] == key[2*(b)] || key[2*(a)] == key[2*(b)+1] || key[2*(a)+1] == key[2*(b)] || key[2*(a)+1] == key[2*(b)+1])
inline assert_sole(x) {
	j = 0;
	do
	:: j < SLOTS -> assert(j == x || !ALIVE(j) || !SHARES(x, j)); j++
	:: else -> break
	od;
	j = 0
}

/* Lookup: entry, gen, key, state, gen again. The state is read between the two reads of gen: an undone slot is used
 * again without a grace, so a state read after them may be that of another session. Leaves res, s, g, word.
 * FINE reads the record in four steps, the others in one: when both reads of gen agree, the record was that session
 * at the moment its state was read, and when they do not, a read at the moment of the change fails as well. */
#define MISS 0
#define FOUND 1
#define FOUND_AT(slot) res = FOUND; s = slot; held[w] = s + 1
inline lookup(tuple) {
	atomic { i = 0; st = 0; res = MISS };
	do
	:: d_step { st == 0 && i < WORDS -> e = entry[i]; i++; st = (e != 0) }
#ifdef FINE
	:: d_step { st == 1 -> g = gen[SLOT(e)]; if :: ODD(g) -> st = 2 :: else -> st = 0; g = 0; e = 0 fi }
	:: d_step { st == 2 -> if :: key[e - 1] == tuple -> st = 3 :: else -> st = 0; g = 0; e = 0 fi }
#ifndef WITH_STATE_AFTER_GEN
	:: d_step { st == 3 -> word = state[SLOT(e)]; st = 4 }
	:: d_step { st == 4 -> if :: gen[SLOT(e)] == g -> st = 5; FOUND_AT(SLOT(e)) :: else -> st = 0; g = 0; word = 0 fi; e = 0 }
#else
	:: d_step { st == 3 -> if :: gen[SLOT(e)] == g -> st = 4 :: else -> st = 0; g = 0; e = 0 fi }
	:: d_step { st == 4 -> word = state[SLOT(e)]; st = 5; FOUND_AT(SLOT(e)); e = 0 }
#endif
#else
	:: d_step { st == 1 ->
		if
		:: ODD(gen[SLOT(e)]) && key[e - 1] == tuple -> g = gen[SLOT(e)]; word = state[SLOT(e)]; st = 5; FOUND_AT(SLOT(e))
		:: else -> st = 0
		fi; e = 0 }
#endif
	:: st == 5 || (st == 0 && i == WORDS) -> break
	od;
	atomic { i = 0; st = 0 }
}

/* Is there another entry for the tuple? Leaves res. */
#ifdef WITH_LOWER_REFERENCE_WINS
#define LOSES_TO(other, me) ((other) < (me))
#else
#define LOSES_TO(other, me) true
#endif
inline twin(tuple, me) {
	atomic { i = 0; st = 0; res = MISS };
	do
	:: d_step { st == 0 && i < WORDS -> e = entry[i]; i++; if :: e && e != me -> st = 1 :: else -> e = 0 fi }
#ifdef FINE
	:: d_step { st == 1 -> g = gen[SLOT(e)]; if :: ODD(g) -> st = 2 :: else -> st = 0; g = 0; e = 0 fi }
	:: d_step { st == 2 -> if :: key[e - 1] == tuple -> st = 3 :: else -> st = 0; g = 0; e = 0 fi }
	:: d_step { st == 3 -> if :: gen[SLOT(e)] == g && LOSES_TO(e, me) -> st = 5; res = FOUND :: else -> st = 0 fi; g = 0; e = 0 }
#else
	:: d_step { st == 1 ->
		if :: ODD(gen[SLOT(e)]) && key[e - 1] == tuple && LOSES_TO(e, me) -> st = 5; res = FOUND :: else -> st = 0 fi; e = 0 }
#endif
	:: st == 5 || (st == 0 && i == WORDS) -> break
	od;
	atomic { i = 0; st = 0 }
}

/* CAS 0 -> ref at an empty place; st = 1 + place, 0 when both buckets are full. Searching the place is left out: the
 * CAS decides, and any place that is empty when it succeeds could have been the one found. */
inline insert(ref) {
#ifdef ANY_PLACE
	atomic {
		if
		:: entry[0] == 0 -> entry[0] = ref; st = 1
		:: entry[1] == 0 -> entry[1] = ref; st = 2
		:: entry[2] == 0 -> entry[2] = ref; st = 3
		:: entry[3] == 0 -> entry[3] = ref; st = 4
		:: else -> st = 0
		fi
	}
#else
	d_step {
		st = 0;
		do
		:: st == WORDS -> st = 0; break
		:: st < WORDS && entry[st] == 0 -> entry[st] = ref; st++; break
		:: else -> st++
		od
	}
#endif
}

/* Undo a creation: entries first, then gen even, then FREE. A worker's slot is in its spare word already. */
inline undo() {
	if
	:: d_step { at[1] -> assert(entry[at[1] - 1] == REF(own, 0)); entry[at[1] - 1] = 0; at[1] = 0 }
	:: else
	fi;
	if
	:: d_step { at[0] -> assert(entry[at[0] - 1] == REF(own, 1)); entry[at[0] - 1] = 0; at[0] = 0 }
	:: else
	fi;
	gen[own] = gen[own] + 1;
	d_step { assert(KIND(state[own]) == CREATING(w)); state[own] = WITH_KIND(state[own], FREE) }
}

/* Build flow f in slot own (R2): res = FOUND when it is LIVE, else lost = 1 (a twin was seen) or no_room = 1, undone. */
inline build() {
#ifdef FINE
	key[2 * own] = FWD(f);
	key[2 * own + 1] = REPLY(f, 0);
	d_step { seen[own] = t; accepted[own] = t };
#else
	d_step { key[2 * own] = FWD(f); key[2 * own + 1] = REPLY(f, 0); seen[own] = t; accepted[own] = t }; /* gen is even: nobody reads */
#endif
	d_step { assert(KIND(state[own]) == FREE && !ODD(gen[own])); state[own] = WITH_KIND(state[own], CREATING(w)) };
	gen[own] = gen[own] + 1;
	do
	:: insert(REF(own, 1));
		if
		:: st == 0 -> no_room = 1; break
		:: else ->
			d_step { at[0] = st; st = 0 };
			twin(REPLY(f, port), REF(own, 1));
			if
			:: res == MISS -> break
			:: res == FOUND && port + 1 == REPLIES -> lost = 1; break
			:: res == FOUND && port + 1 < REPLIES ->
				d_step { entry[at[0] - 1] = 0; at[0] = 0; port++; res = MISS };
				key[2 * own + 1] = REPLY(f, port)
			fi
		fi
	od;
	port = 0;
	if
	:: lost || no_room
	:: else ->
		insert(REF(own, 0));
		if
		:: st == 0 -> no_room = 1
		:: else ->
			d_step { at[1] = st; st = 0 };
			twin(FWD(f), REF(own, 0));
			lost = (res == FOUND)
		fi
	fi;
	if
	:: lost || no_room -> undo(); res = MISS
	:: else ->
		d_step { assert(KIND(state[own]) == CREATING(w)); assert_sole(own); state[own] = MAKE(LIVE, gen[own]); /* P1 */
		         at[0] = 0; at[1] = 0; res = FOUND }
	fi
}

/* A worker creates flow f. The spare word holds the slot from before the ring's tail moves until it is LIVE, so that a
 * slot in hand can be found by adoption at every step. */
inline create() {
	atomic { lost = 0; no_room = 0; res = MISS; BEGIN_CREATE };
	if
#ifdef WITH_SPARE_ONLY_WHEN_UNDONE
	:: d_step { spare[w] -> own = spare[w] - 1; spare[w] = 0 }
	:: d_step { spare[w] == 0 && tail[w] != head[w] -> own = ring[w * RING + tail[w] % RING]; tail[w] = tail[w] + 1 }
#else
	:: d_step { spare[w] -> own = spare[w] - 1 }
	:: d_step { spare[w] == 0 && tail[w] != head[w] -> own = ring[w * RING + tail[w] % RING]; spare[w] = own + 1 };
		tail[w] = tail[w] + 1
#endif
	:: d_step { spare[w] == 0 && tail[w] == head[w] -> no_room = 1 }
	fi;
	if
	:: no_room
	:: else ->
		build();
#ifdef WITH_SPARE_ONLY_WHEN_UNDONE
		if :: res == FOUND :: else -> spare[w] = own + 1 fi;
#else
		if :: res == FOUND -> spare[w] = 0 :: else fi;
#endif
		own = 0
	fi;
	END_CREATE
}

/* A hit inside the timeout writes line 2: last_seen, then the state word (phase, dirty), which may have to be tried
 * again. P3: the record is the session that was looked up, or its revival under the same tuples. */
#ifdef REVIVE
#define SAME_SESSION ODD(gen[s]) && (key[2 * s] == FWD(f) || key[2 * s + 1] == FWD(f))
#else
#define SAME_SESSION gen[s] == g
#endif
inline refresh() {
	d_step {
		assert(SAME_SESSION);                                     /* P3 */
		assert(KIND(state[s]) != DEAD && KIND(state[s]) != FREE); /* P3, P5 */
#ifdef WITH_PLAIN_STORE_OF_SEEN
		seen[s] = t
#else
		if :: t > seen[s] -> seen[s] = t :: else fi /* a maximum */
#endif
	};
#ifdef MARKS
	do
	:: d_step { state[s] == word -> assert(SAME_SESSION); state[s] = word ^ MARK; word = 0 }; break
	:: d_step { state[s] != word -> word = state[s] };
		if
		:: SAME_LIFE(word, g) && (KIND(word) == LIVE || KIND(word) == DYING)
		:: else -> break
		fi
	od
#endif
}

/* D4, R8: an expired session becomes a new one under the same tuples. */
inline revive() {
#ifdef WITH_GEN_CHECKED_AFTER_CAS
	word = state[s];
	if
	:: KIND(word) == LIVE || KIND(word) == DYING ->
		d_step { if :: state[s] == word -> state[s] = WITH_KIND(word, CREATING(w)); res = FOUND :: else -> res = MISS fi };
		if
		:: res == FOUND && gen[s] != g -> d_step { assert(KIND(state[s]) == CREATING(w)); state[s] = word; res = MISS }
		:: else
		fi
	:: else -> res = MISS
	fi;
	d_step { assert(res == MISS || (key[2 * s] == FWD(f) && gen[s] == g)) };
#else
	d_step {
		if
		:: state[s] == word -> assert(key[2 * s] == FWD(f) && gen[s] == g); /* P3: the session looked up, not another */
			state[s] = WITH_KIND(word, CREATING(w)); res = FOUND
		:: else -> res = MISS
		fi };
#endif
	if
	:: res == MISS /* drop expired_busy */
	:: else ->
		d_step { seen[s] = t; accepted[s] = t };
		gen[s] = gen[s] + 2;
		d_step { assert(KIND(state[s]) == CREATING(w)); assert_sole(s); state[s] = MAKE(LIVE, gen[s]) } /* P1 */
	fi
}

#define FRESH(at, last) ((at) < (last) + TIMEOUT)

inline packet() {
#ifdef WITH_CLOCK_BEFORE_BURST
	t = now;
	busy[w] = 1;
#else
	busy[w] = 1;
	t = now;
#endif
	tries = 0;
	do
	:: lookup(FWD(f));
		if
		:: res == MISS && tries == 0 ->
			create();
			if
			:: res == FOUND -> break
			:: no_room -> break /* drop table_full */
			:: lost -> tries = 1
			fi
		:: res == MISS && tries == 1 ->
			JUSTIFIED; /* drop create_race */
			break
		:: res == FOUND && (KIND(word) == DEAD || KIND(word) == DYING_ADMIN) -> break /* drop session_closing */
		:: res == FOUND && (IS_CREATING(word) || KIND(word) == FREE) -> break         /* drop create_race */
		:: res == FOUND && (KIND(word) == LIVE || KIND(word) == DYING) ->
			d_step { st = FRESH(t, seen[s]); if :: st && accepted[s] < t -> accepted[s] = t :: else fi }; /* P5 ghost */
			if
			:: st -> st = 0; refresh()
			:: else ->
#ifdef REVIVE
				if
				:: key[2 * s] == FWD(f) -> revive()
				:: else /* drop expired_busy */
				fi
#else
				skip /* drop expired_busy */
#endif
			fi;
			break
		fi
	od;
	atomic { e = 0; s = 0; g = 0; word = 0; res = MISS; lost = 0; no_room = 0; tries = 0; t = 0; held[w] = 0;
	         busy[w] = 0; waiting = waiting & ~(1 << w) }
}

proctype worker(byte w; byte packets) {
	byte f, t, i, st, e, g, s, word, own, port, tries, j;
	byte at[2];
	byte res;
	bit lost, no_room;
#ifdef WORKER_DIES
	{
#endif
	do
	:: packets == 0 -> break
	:: packets > 0 ->
		atomic {
			packets--;
			if
			:: f = 0
#if FLOWS > 1
			:: f = 1
#endif
#if FLOWS > 2
			:: f = 2
#endif
			fi
		};
		packet();
		f = 0
	od
#ifdef WORKER_DIES
	;
	if :: w == 0 -> gone = 1 :: else fi
	} unless {
		atomic { w == 0 && kill_worker -> kill_worker = 0; dead[0] = 1; gone = 1; busy[0] = 0; waiting = waiting & ~1;
		         held[0] = 0;
		         f = 0; t = 0; i = 0; st = 0; e = 0; g = 0; s = 0; word = 0; own = 0; port = 0; tries = 0;
		         at[0] = 0; at[1] = 0; res = 0; lost = 0; no_room = 0; packets = 0 }
	}
#endif
}

#if TICKS > 0
proctype clock() {
	do
	:: now < TICKS -> now++
	:: now == TICKS -> break
	od
}
#endif

/* Grace (R4): every worker inside a burst now has left it. Taking the bits of all workers in one step allows the
 * shortest grace any real order of reading them could give. */
inline grace() {
	waiting = busy[0] + 2 * busy[1];
	waiting == 0
}

/* Both entries of slot x, forward first. Nobody else moves entries of a slot that is DEAD or of a dead creator, so
 * finding one is not a step of its own. */
inline clear_entries() {
	k = 0;
	do
	:: k < 2 ->
		d_step {
			i = 0;
			do
			:: i < WORDS && entry[i] == REF(x, k) -> entry[i] = 0; break
			:: i < WORDS && entry[i] != REF(x, k) -> i++
			:: else -> break
			od;
			i = 0; k++
		}
	:: else -> break
	od;
	k = 0
}

/* Choose what to free: expired at T, or deleted by order. The list is published by the phase, before any CAS (R5). */
inline choose() {
	d_step { T = now; count = 0; orders = 0; x = 0 };
	do
	:: x < SLOTS ->
		/* state and last_seen in one step: the choice is a guess that the CAS and the second reading check */
		if
		:: d_step { KIND(state[x]) == LIVE && !FRESH(T, seen[x]) -> batch[count] = x; count++ }
#ifdef ORDERS
		:: d_step { KIND(state[x]) == LIVE -> batch[count] = x; count++; orders = orders | (1 << x) }
#endif
		:: KIND(state[x]) != LIVE || FRESH(T, seen[x])
		fi;
		x++
	:: else -> break
	od;
	x = 0;
	phase = CHOSEN;
	n = 0;
	do
	:: n < count ->
		d_step { x = batch[n]; word = state[x] };
		if
		:: KIND(word) != LIVE
		:: KIND(word) == LIVE && !((orders >> x) & 1) ->
			d_step { if :: state[x] == word -> state[x] = WITH_KIND(word, DYING) :: else fi }
		:: KIND(word) == LIVE && ((orders >> x) & 1) ->
			/* by id: the word is read before the id, so that the CAS covers the session the id belongs to */
			if
			:: gen[x] == ID_ORDERED ->
#ifdef WITH_GEN_CHECKED_AFTER_CAS
				d_step { if :: state[x] == word -> state[x] = WITH_KIND(word, DYING_ADMIN); st = 1 :: else fi };
				if
				:: st && gen[x] != ID_ORDERED -> d_step { if :: state[x] == WITH_KIND(word, DYING_ADMIN) -> state[x] = word :: else fi }
				:: else
				fi;
				st = 0
#else
				d_step { if :: state[x] == word -> assert(gen[x] == ID_ORDERED); state[x] = WITH_KIND(word, DYING_ADMIN)
				            :: else fi }
#endif
			:: else
			fi
		fi;
		atomic { n++; x = 0; word = 0 }
	:: else -> break
	od;
	n = 0
}

#ifdef ORDERS
#define ASSERT_ORDERED assert(gen[x] == ID_ORDERED) /* P5: an order by id ends no other session */
#else
#define ASSERT_ORDERED skip
#endif
/* After the first grace: what is still expired at T is DEAD, the rest is LIVE again. T was taken before the grace. */
inline judge() {
#ifdef WITH_TIME_READ_AGAIN
	T = now;
#endif
	n = 0;
	do
	:: n < count ->
		d_step { x = batch[n]; word = state[x] };
		do /* until the CAS succeeds: a packet may have changed the word */
		:: KIND(word) == DYING ->
#ifdef WITHOUT_REREAD
			st = 0;
#else
			d_step { st = FRESH(T, seen[x]) };
#endif
			if
			:: d_step { state[x] == word && st -> state[x] = WITH_KIND(word, LIVE) }; break
			:: d_step { state[x] == word && !st ->
				assert(!FRESH(T, accepted[x])); /* P5 */
				state[x] = WITH_KIND(word, DEAD); CLOSING }; break
			:: d_step { state[x] != word -> word = state[x] }
#ifdef WITHOUT_RETRY
				; break
#endif
			fi
		:: KIND(word) == DYING_ADMIN ->
			if
			:: d_step { state[x] == word -> ASSERT_ORDERED; state[x] = WITH_KIND(word, DEAD); CLOSING }; break
			:: d_step { state[x] != word -> word = state[x] }
			fi
		:: KIND(word) != DYING && KIND(word) != DYING_ADMIN -> break /* revived, or never moved */
		od;
		atomic { n++; x = 0; word = 0; st = 0 }
	:: else -> break
	od;
	n = 0
}

inline clear() {
	n = 0;
	do
	:: n < count ->
		d_step { x = batch[n]; st = (KIND(state[x]) == DEAD) };
		if
		:: st ->
#ifdef WITH_GEN_EVEN_FIRST
			if :: ODD(gen[x]) -> gen[x] = gen[x] + 1 :: else fi;
			clear_entries()
#else
			clear_entries();
			if :: ODD(gen[x]) -> gen[x] = gen[x] + 1 :: else fi
#endif
		:: else
		fi;
		atomic { n++; x = 0; st = 0 }
	:: else -> break
	od;
	n = 0
}

/* P3: nobody holds the slot a lookup returned. Ring words beyond the head are not read, so word and head are one step. */
inline give(to) {
	d_step {
#ifndef WITHOUT_HELD
		assert(held[0] != x + 1 && held[1] != x + 1);
#endif
		ring[to * RING + head[to] % RING] = x; head[to] = head[to] + 1
	}
}

/* Slots of the batch that are DEAD, or FREE but in no ring since the heads were noted, go to a ring. Only the freer
 * writes rings and heads, so looking through them is private. */
inline push() {
	n = 0;
	do
	:: n < count ->
		d_step {
			x = batch[n]; word = state[x]; st = 0;
			i = heads[0];
			do :: i != head[0] -> st = st || (ring[i % RING] == x); i++ :: else -> break od;
			i = heads[1];
			do :: i != head[1] -> st = st || (ring[RING + i % RING] == x); i++ :: else -> break od;
			i = 0
		};
		if
		:: !st && (KIND(word) == DEAD || KIND(word) == FREE) ->
			if :: KIND(word) == DEAD -> state[x] = WITH_KIND(word, FREE) :: else fi;
			if
			:: give(HOME(x))
#ifdef INSTALL
			:: mine = mine | (1 << x)
#endif
			fi
		:: else
		fi;
		atomic { n++; x = 0; word = 0; st = 0 }
	:: else -> break
	od;
	n = 0;
	d_step { count = 0; phase = IDLE }
}

/* Finish the batch from the phase it is in. T must be read before the first grace of the process that judges. */
inline finish() {
	if
	:: phase <= GRACED && phase != IDLE ->
		T = now;
#ifndef WITHOUT_FIRST_GRACE
		grace();
#endif
		phase = GRACED;
		judge();
		clear();
		d_step { phase = CLEARED; CLOSED }
	:: else
	fi;
	if
	:: phase == CLEARED ->
#ifndef WITHOUT_SECOND_GRACE
		grace();
#endif
		heads[0] = head[0];
		heads[1] = head[1];
		phase = PUSHING
	:: else
	fi;
	if
	:: phase == PUSHING -> push()
	:: else
	fi;
	T = 0
}

/* Adoption (R6). The snapshot reads a ring's tail before its spare word: a slot moves ring -> spare -> LIVE. The
 * successor's own list counts as well: finishing the batch may have put slots there. */
#ifdef WITHOUT_CREATOR_IN_THE_WORD
#define ORPHAN(word) IS_CREATING(word)
#else
#define ORPHAN(word) (IS_CREATING(word) && KIND(word) < CREATING(AGENT) && dead[KIND(word) - 5])
#endif
#ifdef WITH_REVIVAL_UNDONE_AT_ONCE
#define ORPHAN_CREATION(x) ORPHAN(word)
#define ORPHAN_REVIVAL(x) false
#else
#define ORPHAN_CREATION(x) (ORPHAN(word) && ((snap >> x) & 1))
#define ORPHAN_REVIVAL(x) (ORPHAN(word) && !((snap >> x) & 1))
#endif
#ifdef WITHOUT_OWN_SLOTS_IN_SNAPSHOT
#define OWN_SLOTS 0
#else
#define OWN_SLOTS mine
#endif
inline adopt() {
	d_step { snap = OWN_SLOTS; w = 0 };
	do
	:: w < 2 ->
		d_step { i = tail[w]; do :: i != head[w] -> snap = snap | (1 << ring[w * RING + i % RING]); i++ :: else -> break od; i = 0 };
		d_step { if :: spare[w] -> snap = snap | (1 << (spare[w] - 1)) :: else fi; w++ }
	:: else -> break
	od;
	w = AGENT;
	d_step { x = 0; list = 0; count = 0 };
	do
	:: x < SLOTS ->
		word = state[x];
		if
		:: KIND(word) == CREATING(AGENT) || ORPHAN_CREATION(x) ->
			clear_entries();
			if :: ODD(gen[x]) -> gen[x] = gen[x] + 1 :: else fi;
			state[x] = WITH_KIND(word, FREE);
			if :: (snap >> x) & 1 :: else -> list = list | (1 << x) fi
		:: ORPHAN_REVIVAL(x) -> /* packets that looked it up before may still write: it needs the first grace */
			atomic { state[x] = WITH_KIND(word, DYING_ADMIN); batch[count] = x; count++ }
		:: KIND(word) == DYING || KIND(word) == DYING_ADMIN || KIND(word) == DEAD ->
			d_step { batch[count] = x; count++ }
		:: KIND(word) == FREE ->
			d_step { if :: !ODD(gen[x]) && !((snap >> x) & 1) -> list = list | (1 << x) :: else fi }
		:: else
		fi;
		atomic { x++; word = 0 }
	:: else -> break
	od;
	x = 0;
	/* entries on an even gen: the same gen before and after seeing the entry, or it is another one by now */
	k = 0;
	do
	:: k < WORDS ->
		e = entry[k];
		if
		:: e ->
			g = gen[SLOT(e)];
			if
			:: !ODD(g) ->
#ifdef WITH_ENTRY_CLEARED_AT_ONCE
				d_step { if :: entry[k] == e -> entry[k] = 0 :: else fi }
#else
				d_step { st = (entry[k] == e) };
				if
				:: st && gen[SLOT(e)] == g -> d_step { if :: entry[k] == e -> entry[k] = 0 :: else fi }
				:: else
				fi
#endif
			:: else
			fi
		:: else
		fi;
		atomic { k++; e = 0; g = 0; st = 0 }
	:: else -> break
	od;
	k = 0;
	if
	:: count -> phase = CHOSEN; finish()
	:: else
	fi;
	grace();
	x = 0;
	do
	:: x < SLOTS ->
		d_step { st = ((list >> x) & 1) && !ODD(gen[x]) };
		if :: st -> give(HOME(x)) :: else fi;
		atomic { x++; st = 0 }
	:: else -> break
	od;
	atomic { x = 0; list = 0; snap = 0 };
	if
	:: dead[0] ->
		/* a worker that is gone leaves its slot in the spare word and perhaps in the ring, or LIVE */
		d_step { if :: spare[0] && (KIND(state[spare[0] - 1]) != FREE || (tail[0] != head[0] && ring[tail[0] % RING] == spare[0] - 1)) -> spare[0] = 0 :: else fi }
	:: else
	fi
}

/* The agent installs flow 0 from its private list (R7: the freer's thread). */
#ifdef INSTALL
inline install() {
	d_step { own = 0; do :: (mine >> own) & 1 -> break :: else -> own++ od; mine = mine & ~(1 << own); f = 0 };
	build();
	if :: res == FOUND :: else -> mine = mine | (1 << own) fi;
	atomic { own = 0; res = 0; lost = 0; no_room = 0 }
}
#endif

bit kill, over;
#ifdef WORKER_DIES
proctype worker_killer() { kill_worker = 1 }
#endif
#if DEATHS > 0
proctype killer() {
	kill = 1;
#if DEATHS > 1
	kill == 0 || over;
	kill = 1
#endif
}
#endif

proctype freer() {
	byte rounds, T, n, x, i, k, st, e, g, word, orders, snap, list, w, lives;
#ifdef INSTALL
	byte f, t, own, port, j, res;
	byte at[2];
	bit lost, no_room;
#endif
	w = AGENT;
#ifdef ADOPT_AT_START
	lives = 1;
#endif
#ifdef WORKER_DIES
	gone;
#endif
life:
	{
		if
		:: lives -> lives = 0;
#ifndef ADOPT_ONLY
			finish();
#endif
#ifndef REDO_ONLY
			adopt()
#endif
		:: else
		fi;
		do
		:: rounds < ROUNDS ->
			rounds++;
			choose();
			finish()
		:: rounds == ROUNDS -> break
		od
#ifdef INSTALL
		;
		if
		:: mine -> install()
		:: else
		fi
#endif
		;
		over = 1
	} unless {
		atomic {
			kill -> kill = 0; mine = 0; waiting = 0; lives = 1;
			T = 0; n = 0; x = 0; i = 0; k = 0; st = 0; e = 0; g = 0; word = 0; orders = 0; snap = 0; list = 0; w = AGENT;
#ifdef INSTALL
			f = 0; t = 0; own = 0; port = 0; j = 0; res = 0; at[0] = 0; at[1] = 0; lost = 0; no_room = 0;
#endif
			goto life
		}
	}
}

/* P2 and P4 at quiescence. */
inline check() {
	d_step {
		x = 0; n = 0;
		do
		:: x < SLOTS ->
			c = (KIND(state[x]) == LIVE) + (spare[0] == x + 1) + (spare[1] == x + 1) + ((mine >> x) & 1);
			i = tail[0];
			do :: i != head[0] -> c = c + (ring[i % RING] == x); i++ :: else -> break od;
			i = tail[1];
			do :: i != head[1] -> c = c + (ring[RING + i % RING] == x); i++ :: else -> break od;
			assert(c == 1);                                              /* P4 */
			assert(KIND(state[x]) == LIVE || KIND(state[x]) == FREE);
			assert(ODD(gen[x]) == (KIND(state[x]) == LIVE));
			c = 0; k = 0; i = 0;
			do
			:: i < WORDS -> c = c + (entry[i] == REF(x, 0)); k = k + (entry[i] == REF(x, 1)); i++
			:: else -> break
			od;
			assert(c == (KIND(state[x]) == LIVE) && k == c);             /* P2 */
			x++
		:: else -> break
		od
	}
}

init {
	byte x, n, c, i, k;
	atomic {
		START;
		run worker(0, PACKETS0);
		run worker(1, PACKETS1);
#if TICKS > 0
		run clock();
#endif
#if ROUNDS > 0 || defined(ADOPT_AT_START)
		run freer();
#endif
#ifdef WORKER_DIES
		run worker_killer();
#endif
#if DEATHS > 0
		run killer();
#endif
	};
	_nr_pr == 1;
	check()
}
