// What a group of 32 columns adds to the sums of an item, WIDTH outputs with ROWS rows. Whoever includes this has
// defined where an item's activations come from, a type Inputs and
//
//   Input input(const Inputs*, int r, int j)         columns 4 j to 4 j + 3 of the group, of the item's row r
//   InputGroup input_group(const Inputs*, int r)
//   float4 float_input(const Inputs*, int r, int j)  with EXACT
//
// Macros: ELEMENT, WIDTH, PRODUCT (products.h); ROWS; REACH, the columns that share a scale: 16, 32, or 0 for a whole
// row; EXACT, 1: activations are FP32.

#define INTEGERS (REACH == 0 && !EXACT)  // sums of whole rows
#define REACHES (REACH == 16 ? 2 : 1)    // scales of a group

#if INTEGERS
typedef Ints Sums;
#else
typedef Floats Sums;
#endif

// Where a matrix lies for an item: the words of its block, and its scales.
typedef struct Weights {
    global const uchar* memory;
    const LinearArgs* a;
    long block;
    int output;  // within the block
    int groups;
} Weights;

global const uchar* group_at(const Weights* w, int g) {
    return w->memory + w->a->elements + (w->block * w->groups + g) * (ELEMENT_BITS * BLOCK_OUTPUTS * 4);
}

// Index of the scales of the i-th columns that share one within a group.
long scale_at(const Weights* w, int g, int i) {
    return REACH == 0 ? w->block * BLOCK_OUTPUTS + w->output
                      : ((w->block * w->groups + g) * REACHES + i) * BLOCK_OUTPUTS + w->output;
}

Floats scales_at(const Weights* w, int g, int i) {
    return load_scales(w->memory, w->a->scales, scale_at(w, g, i), w->a->fp16_scales != 0);
}

Floats minimums_at(const Weights* w, int g, int i) {
    return load_scales(w->memory, w->a->mins, scale_at(w, g, i), w->a->fp16_scales != 0);
}

#if !EXACT

// s_w sum(q_w q_a) + m_w sum(q_a); integers below 2^24 are exact in FP32.
Floats weighted(const Weights* w, Floats scale, Floats minimum, Ints sum, int input) {
    if (!is_there(w->a->mins)) {
        return scale * WIDE(convert_float)(sum);
    }
    const Floats all = WIDE(convert_float)(sum + (IS_INT4 ? 8 * input : 0));
    return fma(scale, all, minimum * (float)input);
}

void add_group(const Weights* w, const Inputs* inputs, int g, Sums* sums) {
    global const uchar* group = group_at(w, g);
    Sum of_rows[ROWS][REACHES];
    for (int r = 0; r < ROWS; r++) {
        for (int i = 0; i < REACHES; i++) {
            of_rows[r][i] = 0;
        }
    }
    for (int c = 0; c < 4; c++) {
        const Columns columns = load_columns_of(group, c, w->output);
        for (int r = 0; r < ROWS; r++) {
            of_rows[r][0] += products(&columns, 0, input(inputs, r, c));
            of_rows[r][REACHES - 1] += products(&columns, 1, input(inputs, r, 4 + c));
        }
    }
#if REACH == 0
    for (int r = 0; r < ROWS; r++) {
        sums[r] += total(of_rows[r][0]);
    }
#else
    for (int i = 0; i < REACHES; i++) {
        const Floats scale = scales_at(w, g, i);
        const Floats minimum = is_there(w->a->mins) ? minimums_at(w, g, i) : 0;
        for (int r = 0; r < ROWS; r++) {
            const InputGroup of = input_group(inputs, r);
            const int input = REACH == 16 ? sum16(of.sums16, i) : sum32(of.sums16);
            sums[r] = fma(weighted(w, scale, minimum, total(of_rows[r][i]), input), (Floats)of.scale, sums[r]);
        }
    }
#endif
}

#elif IS_FLOAT

void add_group(const Weights* w, const Inputs* inputs, int g, Sums* sums) {
    global const uchar* group = group_at(w, g);
    for (int j = 0; j < 8; j++) {
        Floats columns[4];
        load_floats(group, j, w->output, columns);
        for (int r = 0; r < ROWS; r++) {
            const float4 x = float_input(inputs, r, j);
            sums[r] = fma(columns[0], (Floats)x.x, sums[r]);
            sums[r] = fma(columns[1], (Floats)x.y, sums[r]);
            sums[r] = fma(columns[2], (Floats)x.z, sums[r]);
            sums[r] = fma(columns[3], (Floats)x.w, sums[r]);
        }
    }
}

#else

void add_group(const Weights* w, const Inputs* inputs, int g, Sums* sums) {
    global const uchar* group = group_at(w, g);
    for (int i = 0; i < 2; i++) {
        const Floats scale = scales_at(w, g, REACH == 16 ? i : 0);
        // s n, or s (n + 8) + m: what is added to each of them
        Floats low = 0;
        if (is_there(w->a->mins)) {
            low = minimums_at(w, g, REACH == 16 ? i : 0) + (IS_INT4 ? 8 * scale : 0);
        }
        for (int j = 4 * i; j < 4 * i + 4; j++) {
            Floats q[4];
            load_floats(group, j, w->output, q);
            for (int r = 0; r < ROWS; r++) {
                const float4 x = float_input(inputs, r, j);
                Floats products = q[0] * x.x;
                products = fma(q[1], (Floats)x.y, products);
                products = fma(q[2], (Floats)x.z, products);
                products = fma(q[3], (Floats)x.w, products);
                sums[r] = fma(scale, products, fma(low, (Floats)(x.x + x.y + x.z + x.w), sums[r]));
            }
        }
    }
}

#endif

// Results of an item's outputs and a row, of the sums of its segments.
Floats results_of(const Weights* w, global const uchar* inputs, int row, Sums sum) {
#if INTEGERS
    global const InputGroup* of_row = READ(InputGroup, inputs, w->a->groups) + (long)row * w->groups;
    const bool has_minimums = is_there(w->a->mins);
    int input = 0;
    for (int g = 0; g < (has_minimums ? w->groups : 0); g++) {
        input += sum32(of_row[g].sums16);
    }
    return weighted(w, scales_at(w, 0, 0), has_minimums ? minimums_at(w, 0, 0) : 0, sum, input) * of_row->scale;
#else
#if EXACT
    if (any((WIDE(as_uint)(sum) & 0x7F800000u) == 0x7F800000u) &&
        has_non_finite(READ(float, inputs, w->a->x) + row * w->a->columns, w->a->columns)) {
        return not_a_number();
    }
#endif
    return sum;
#endif
}

// Stores results of neighboring outputs, as many as there are.
void store_results(const LinearArgs* a, global const uchar* bias, global uchar* out, int row, long first_output,
                   Floats results) {
    const long at = row * a->out_stride + first_output;
    if (a->out_type == OUTPUT_F32 && first_output + WIDTH <= a->outputs) {
        if (is_there(a->bias)) {
            results += WIDE(vload)(0, READ(float, bias, a->bias) + first_output);
        }
        WIDE(vstore)(results, 0, WRITE(float, out, a->out) + at);
        return;
    }
    const int count = first_output < a->outputs ? (int)min((long)WIDTH, a->outputs - first_output) : 0;
    for (int i = 0; i < WIDTH; i++) {
        if (i < count) {
            const float result = ((const float*)&results)[i];
            store_output(out, a->out, a->out_type, at + i,
                         is_there(a->bias) ? result + READ(float, bias, a->bias)[first_output + i] : result);
        }
    }
}
