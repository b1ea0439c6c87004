/* The corpus of sketch_fuzz, replayed. */
#include "../fuzz/native/sketch_fuzz.c"

#include "corpus.h"

int main(int argc, char **argv) { return corpus_replay("test/fixtures/corpus/sketch_fuzz", argc, argv); }
