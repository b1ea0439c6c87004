/* The corpus of wire_fuzz, replayed. */
#include "../fuzz/native/wire_fuzz.c"

#include "corpus.h"

int main(int argc, char **argv) { return corpus_replay("test/fixtures/corpus/wire_fuzz", argc, argv); }
