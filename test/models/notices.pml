/* Level-triggered notices (R9): two workers change one record and tell the drain, `dirty` keeps them from telling twice.
 * P7: when all is drained, the last thing read is the record as it is, or a ring overran and an audit follows.
 * The order is: dirty by the CAS that makes the change, then the push; a full ring takes dirty back.
 */
#define CHANGES 2
#define RING 1
byte version; /* with `dirty`, one word: changed together by CAS */
bit dirty;
byte head[2], tail[2];
bit overrun;
byte told;   /* what the drain read last */
byte writers = 2;

proctype worker(byte w) {
	byte n, v;
	bit d;
	do
	:: n < CHANGES ->
		d_step { v = version; d = dirty };
		if
#ifdef WITH_DIRTY_AFTER_PUSH
		:: d_step { version == v && dirty == d -> version = v + 1 };
			if
			:: d
			:: !d && head[w] - tail[w] < RING -> head[w]++; dirty = 1
			:: !d && head[w] - tail[w] >= RING -> overrun = 1
			fi;
#else
		:: d_step { version == v && dirty == d -> version = v + 1; dirty = 1 };
			if
			:: d
			:: !d && head[w] - tail[w] < RING -> head[w]++
			:: !d && head[w] - tail[w] >= RING -> overrun = 1;
				d_step { if :: version == v + 1 && dirty -> dirty = 0 :: else fi } /* one try: the audit clears the rest */
			fi;
#endif
			n++
		:: d_step { version != v || dirty != d -> v = 0; d = 0 } /* another was first: again */
		fi
	:: n == CHANGES -> break
	od;
	writers--
}

proctype drain() {
	byte w;
	do
	:: w < 2 && head[w] != tail[w] -> dirty = 0; told = version; tail[w]++
	:: w < 2 && head[w] == tail[w] -> w++
	:: w == 2 && writers > 0 -> w = 0
	:: w == 2 && writers == 0 && (head[0] != tail[0] || head[1] != tail[1]) -> w = 0
	:: w == 2 && writers == 0 && head[0] == tail[0] && head[1] == tail[1] -> break
	od
}

init {
	atomic { run worker(0); run worker(1); run drain() };
	_nr_pr == 1;
	assert(told == version || overrun);
	assert(!dirty || overrun)
}
