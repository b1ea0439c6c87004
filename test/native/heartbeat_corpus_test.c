/* The corpus of heartbeat_fuzz, replayed. */
#include "../fuzz/native/heartbeat_fuzz.c"

#include "corpus.h"

int main(int argc, char **argv) { return corpus_replay("test/fixtures/corpus/heartbeat_fuzz", argc, argv); }
