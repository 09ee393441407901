// SPDX-License-Identifier: MIT
// Random numbers: a function of (seed, stream, step, index) and of nothing else, so that any thread can
// compute any element, and a recomputed one is the same. Plain C without headers: the emitter copies this
// text word for word. `unsigned` has 32 bits.
//
//     unsigned stream = nnc_random_stream("dropout_1");                       // compile time
//     unsigned a = nnc_random_key(seed_low, seed_high, stream, step, 0);      // once a kernel
//     unsigned b = nnc_random_key(seed_low, seed_high, stream, step, 1);
//     float u = nnc_random_unit(a, b, index);                                 // [0, 1), 24 bits
//
// Two keys, because with one the streams would be the same sequence from different places. The mixing is
// a 32-bit finalizer of two multiplications (constants from the hash-prospector search by C. Wellons),
// twice for an element; 32-bit multiplications, shifts and xors alone, so that loops over it vectorise.
#ifndef NNC_RNG_H
#define NNC_RNG_H

#ifndef NNC_INLINE // a GPU's code says what it runs on
#define NNC_INLINE static inline
#endif

NNC_INLINE unsigned nnc_random_mix(unsigned x) {
    x = (x ^ (x >> 16)) * 0x21f0aaadu;
    x = (x ^ (x >> 15)) * 0x735a2d97u;
    return x ^ (x >> 15);
}

// The stream of a name (FNV-1a).
NNC_INLINE unsigned nnc_random_stream(const char *name) {
    unsigned hash = 2166136261u;
    while (*name)
        hash = (hash ^ (unsigned char)*name++) * 16777619u;
    return hash;
}

// The key's word 0 or 1.
NNC_INLINE unsigned nnc_random_key(unsigned seed_low, unsigned seed_high, unsigned stream,
                                      unsigned step, unsigned word) {
    unsigned key = nnc_random_mix(seed_low + (word ? 0x9e3779b9u : 0x7f4a7c15u));
    key = nnc_random_mix(key ^ seed_high);
    key = nnc_random_mix(key + stream);
    return nnc_random_mix(key ^ step);
}

NNC_INLINE unsigned nnc_random_bits(unsigned key_a, unsigned key_b, unsigned index) {
    return nnc_random_mix(nnc_random_mix(index + key_a) ^ key_b);
}

// The cast to int, which the 24 bits fit, is there because signed conversions are the fast ones.
NNC_INLINE float nnc_random_unit(unsigned key_a, unsigned key_b, unsigned index) {
    return (float)(int)(nnc_random_bits(key_a, key_b, index) >> 8) * 5.9604644775390625e-8f;
}

#endif
