// Weights as an item has them, WIDTH outputs at once, and sums of products, exact, by what the device has for them.
// Macros: ELEMENT (the numbers of `Element`) and
//
//   WIDTH    outputs of an item, 4 or 8: a GPU's items are many and read 16 bytes each; a processor's are few, and its
//            vectors are theirs
//   PRODUCT  PRODUCT_DOT: the device multiplies four bytes by four at once (cl_khr_integer_dot_product);
//            PRODUCT_SHORT: 16-bit integers, of which two fit a lane
//   LEVELS_0, LEVELS_1  with ELEMENT_LEVELS: the levels, eight a number, the first of them lowest
#include "weights.h"

#define IS_LEVELS (ELEMENT == 5)
#define IS_INT4 (ELEMENT == 4)
#define IS_INT8 (ELEMENT == 3)
#define IS_BF16 (ELEMENT == 2)
#define IS_F32 (ELEMENT == 0)
#define IS_FLOAT (ELEMENT < 3)

#define ELEMENT_BITS (IS_INT4 || IS_LEVELS ? 4 : IS_INT8 ? 8 : IS_F32 ? 32 : 16)

#define WIDE(name) JOIN(name, WIDTH)

typedef WIDE(uint) Words;
typedef WIDE(int) Ints;
typedef WIDE(float) Floats;

#if WIDTH == 4
typedef short8 Halves;
#define HALVES_OF as_short8
#define REPEATED(pair) (pair).s01010101
#define BOTH_WIDTHS 8
#else
typedef short16 Halves;
#define HALVES_OF as_short16
#define REPEATED(pair) (pair).s0101010101010101
#define BOTH_WIDTHS 16
#endif

// Word j of the outputs from `output` on, of a group that begins at `group`.
Words load_words(global const uchar* group, int j, int output) {
    return *(global const Words*)((global const uint*)group + j * BLOCK_OUTPUTS + output);
}

// Scales or minimums of neighboring outputs.
Floats load_scales(global const uchar* memory, long offset, long at, bool fp16) {
    return fp16 ? WIDE(vloada_half)(0, READ(half, memory, offset) + at)
                : *(global const Floats*)(READ(float, memory, offset) + at);
}

#if IS_LEVELS

#define LEVEL(i) ((uint)(((i) < 8 ? LEVELS_0 : LEVELS_1) >> 8 * ((i) % 8) & 0xFF) * 0x01010101u)

// All bits of the bytes whose bit i is one.
Words bytes_with(Words places, int i) {
    const Words bits = places >> i & 0x01010101u;
    return (bits << 8) - bits;
}

// The levels of four places an output, which lie in the lower nibbles of bytes. Chosen bit by bit: a table in memory
// would be read item by item.
Words levels_of(Words places) {
    const Words first = bytes_with(places, 0);
    const Words second = bytes_with(places, 1);
    const Words third = bytes_with(places, 2);
    Words halves[2];
    for (int i = 0; i < 2; i++) {
        Words pairs[4];
        for (int j = 0; j < 4; j++) {
            const int at = 8 * i + 2 * j;
            pairs[j] = LEVEL(at) ^ (first & (LEVEL(at) ^ LEVEL(at + 1)));
        }
        halves[i] = bitselect(bitselect(pairs[0], pairs[1], second), bitselect(pairs[2], pairs[3], second), third);
    }
    return bitselect(halves[0], halves[1], bytes_with(places, 3));
}

#endif

// Words that hold the INT8 of four columns, and of those 16 further.
typedef struct Bytes { Words of[2]; } Bytes;
Bytes load_bytes(global const uchar* group, int c, int output) {
    Bytes bytes;
    const Words word = load_words(group, c, output);
#if IS_LEVELS
    bytes.of[0] = levels_of(word);
    bytes.of[1] = levels_of(word >> 4);
#else
    bytes.of[0] = word;
    bytes.of[1] = load_words(group, 4 + c, output);
#endif
    return bytes;
}

// ---- products of integers

#if PRODUCT == 1  // PRODUCT_DOT

typedef uint Input;                              // four columns of a row of activations
typedef Bytes Columns;                           // four columns of a group and the four 16 further
typedef Ints Sum;

Input input_of(uint word) { return word; }

Ints dot_words(Words a, uint b) {
    Ints sums;
    sums.s0 = dot_4x8packed_ss_int(a.s0, b);
    sums.s1 = dot_4x8packed_ss_int(a.s1, b);
    sums.s2 = dot_4x8packed_ss_int(a.s2, b);
    sums.s3 = dot_4x8packed_ss_int(a.s3, b);
#if WIDTH == 8
    sums.s4 = dot_4x8packed_ss_int(a.s4, b);
    sums.s5 = dot_4x8packed_ss_int(a.s5, b);
    sums.s6 = dot_4x8packed_ss_int(a.s6, b);
    sums.s7 = dot_4x8packed_ss_int(a.s7, b);
#endif
    return sums;
}

// Nibbles become bytes of 16 n by a shift and a mask.
Columns load_columns_of(global const uchar* group, int c, int output) {
#if IS_INT4
    Columns columns;
    const Words word = load_words(group, c, output);
    columns.of[0] = word << 4 & 0xF0F0F0F0u;
    columns.of[1] = word & 0xF0F0F0F0u;
    return columns;
#else
    return load_bytes(group, c, output);
#endif
}

Sum products(const Columns* columns, int half_of, Input x) { return dot_words(columns->of[half_of], x); }

Ints total(Sum sum) { return IS_INT4 ? sum >> 4 : sum; }

#else

typedef short4 Input;  // columns 0, 2, 1 and 3 of four
typedef struct Columns {
    Halves even[2];
    Halves odd[2];
} Columns;

Input input_of(uint word) {
    const short2 x = as_short2(word);
    return (short4)(x << (short)8, x) >> (short)8;
}

Columns load_columns_of(global const uchar* group, int c, int output) {
    Columns columns;
#if IS_INT4
    const Halves word = HALVES_OF(load_words(group, c, output));
    columns.even[0] = word << (short)12 >> (short)12;
    columns.odd[0] = word << (short)4 >> (short)12;
    columns.even[1] = word << (short)8 >> (short)12;
    columns.odd[1] = word >> (short)12;
#else
    const Bytes bytes = load_bytes(group, c, output);
    const Halves word = HALVES_OF(bytes.of[0]);
    const Halves further = HALVES_OF(bytes.of[1]);
    columns.even[0] = word << (short)8 >> (short)8;
    columns.odd[0] = word >> (short)8;
    columns.even[1] = further << (short)8 >> (short)8;
    columns.odd[1] = further >> (short)8;
#endif
    return columns;
}

Ints widened(Halves x) {
    const Ints both = WIDE(as_int)(x);
    return (both << 16 >> 16) + (both >> 16);
}

// 16 bits hold two products of bytes, as activations are not -128, and the 16 of a group's nibbles that a lane has.
#if IS_INT4
typedef Halves Sum;
Ints total(Sum sum) { return widened(sum); }
#else
typedef Ints Sum;
Ints total(Sum sum) { return sum; }
#endif

Sum products(const Columns* columns, int half_of, Input x) {
    const Halves sum = columns->even[half_of] * REPEATED(x.lo) + columns->odd[half_of] * REPEATED(x.hi);
#if IS_INT4
    return sum;
#else
    return widened(sum);
#endif
}

#endif

// ---- weights as FP32

// Columns 4 j to 4 j + 3 of a group; integers without their scales.
void load_floats(global const uchar* group, int j, int output, Floats* columns) {
#if !IS_FLOAT
#if IS_LEVELS
    const Ints word = WIDE(as_int)(load_bytes(group, j % 4, output).of[j / 4]);
#else
    const Ints word = WIDE(as_int)(load_words(group, IS_INT4 ? j % 4 : j, output));
#endif
    const int up = IS_INT4 ? j < 4 ? 28 : 24 : 24;
    for (int i = 0; i < 4; i++) {
        columns[i] = WIDE(convert_float)(word << (up - 8 * i) >> (IS_INT4 ? 28 : 24));
    }
#elif IS_F32
    for (int i = 0; i < 4; i++) {
        columns[i] = WIDE(as_float)(load_words(group, 4 * j + i, output));
    }
#elif IS_BF16
    for (int i = 0; i < 2; i++) {
        const Words word = load_words(group, 2 * j + i, output);
        columns[2 * i] = WIDE(as_float)(word << 16);
        columns[2 * i + 1] = WIDE(as_float)(word & 0xFFFF0000u);
    }
#else
    for (int i = 0; i < 2; i++) {
        global const half* at = (global const half*)group + 2 * ((2 * j + i) * BLOCK_OUTPUTS + output);
        const JOIN(float, BOTH_WIDTHS) both = JOIN(vloada_half, BOTH_WIDTHS)(0, at);
        columns[2 * i] = both.even;
        columns[2 * i + 1] = both.odd;
    }
#endif
}
