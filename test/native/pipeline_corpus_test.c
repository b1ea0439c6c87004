/* The corpus of pipeline_fuzz, replayed. */
#include "../fuzz/native/pipeline_fuzz.c"

#include "corpus.h"

int main(int argc, char **argv) { return corpus_replay("test/fixtures/corpus/pipeline_fuzz", argc, argv); }
