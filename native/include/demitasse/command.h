// The commands that a device runs, as plain memory.
//
// A caller writes a list of commands and has it run with one call: threads walk the list together, and no call, lock or
// wake-up lies between two operations. A command is COMMAND_WORDS words of 64 bits: the operation, the index of the
// command that must be complete before this one starts (all commands before that one are then complete too), and the
// operation's arguments. Every argument takes a word: addresses, integers, and FP32 numbers in a word's low 32 bits.
// Both sides are little-endian. What Java must know of this file is generated from it (java/core/src/build).
#pragma once

#include <cstdint>

namespace demitasse {

constexpr int COMMAND_WORDS = 16;
constexpr int COMMAND_HEADER_WORDS = 2;     // before the arguments: the operation, and what must be complete
constexpr int PANEL = 16;                   // rows of a weight panel
constexpr int GROUP = 32;                   // columns that share an activation scale
constexpr int SUPER = 256;                  // columns that share a super-scale
constexpr int ROW_BLOCK = 64;               // activation rows whose groups lie together
constexpr int PAGE = 32;                    // positions of a page of the key-value cache
constexpr int SCALE_GROUP = 64;             // elements of a head that share a scale in caches of 8 bits and fewer
constexpr int SEGMENT = 512;                // positions whose attention is computed alone and then merged
constexpr int QUERY_BLOCK = 16;             // rows of one sequence that a task of attention takes
constexpr int STATE_HEADER = 16;            // FP32 elements of an attention state before its vector
constexpr int ELEMENT_MULTIPLE = 16;        // elements of a head in a cache are padded to that
constexpr int GROUP_ACTIVATION_BYTES = 16;  // of a GroupActivation

enum class Op : int64_t {
    EMBED,
    GATHER_ROWS,
    RMS_NORM,
    LAYER_NORM,
    QUANTIZE_ROWS,
    QUANTIZE_PANELS,
    LINEAR,
    ROPE,
    ROTATE,
    KV_APPEND,
    ATTENTION,
    ATTENTION_MERGE,
    CONVOLVE,
    DELTA_RULE,
    SELECTIVE_SCAN,
    GATED_ACTIVATION,
    ADD,
    SCALE,
    SOFT_CAP,
    PACK,
    COUNT
};

// Elements of a weight layout. INT6 holds those of INT8 that are all -32 to 31; IQ4 and FP4 those that are levels of a
// table (LevelTable in Java).
enum class Element : int64_t { F32, F16, BF16, INT8, INT4, INT6, IQ4, FP4 };

// How scales and minimums of weights are stored; INT8 is multiplied by an FP16 number for each SUPER columns.
enum class ScaleType : int64_t { FP32, FP16, INT8 };

// How results of linear are written.
enum class OutputType : int64_t { F32, F16, BF16 };

// The function of a gate.
enum class Gate : int64_t { SILU, GELU, SIGMOID, IDENTITY, CLAMPED_SWISH, RELU, NORMAL_CDF };

// Elements of a key-value cache.
enum class KvType : int64_t { F32, F16, INT8, FP8, INT4 };

// A packed matrix, see PackedMatrix in Java for the layout.
struct Matrix {
    const uint8_t* quants;
    const uint8_t* scales;         // [panel][group][16]
    const uint8_t* mins;           // the same, or null
    const uint16_t* super_scales;  // [panel][SUPER columns][16] where scales are INT8, or null
    const uint16_t* super_mins;    // the same
    int64_t rows;
    int64_t columns;
    int64_t group;  // columns of a weight group; 0 for floating-point elements
    Element element;
    ScaleType scale_type;

    int64_t padded() const { return group == 0 ? columns : (columns + GROUP - 1) / GROUP * GROUP; }
    int64_t panels() const { return (rows + PANEL - 1) / PANEL; }
    int64_t groups() const { return group == 0 ? 0 : (padded() + group - 1) / group; }
    int64_t supers() const { return (padded() + SUPER - 1) / SUPER; }
    int64_t scale_bytes() const { return scale_type == ScaleType::FP32 ? 4 : scale_type == ScaleType::FP16 ? 2 : 1; }
    int64_t element_bits() const {
        return element == Element::F32    ? 32
               : element == Element::INT8 ? 8
               : element == Element::INT6 ? 6
               : element >= Element::INT4 ? 4
                                          : 16;
    }
};

// One group of 32 columns of one row of activations beside its integers.
struct GroupActivation {
    float scale;
    float sum;           // of the integers
    int32_t correction;  // -128 sum: what multipliers of unsigned by signed bytes sum too much
    int16_t sums16[2];   // sums of 16 columns each
};

// Quantized activations: per block of ROW_BLOCK rows (the last one shorter), [group][row][32] integers, and beside them
// [group][row] GroupActivation. With one row this is the row's natural order.
struct Activations {
    int8_t* q;
    GroupActivation* groups;
};

struct EmbedArgs {
    const Matrix* table;
    const int32_t* ids;
    int64_t rows;
    alignas(8) float scale;
    float* out;
};

struct GatherRowsArgs {
    const float* x;
    int64_t columns;
    const int32_t* ids;
    int64_t rows;
    float* out;
};

struct LayerNormArgs {
    const float* x;
    const float* weight;
    const float* bias;  // or null
    int64_t rows;
    int64_t columns;
    alignas(8) float epsilon;
    float* out;
};

struct RmsNormArgs {
    const float* x;
    const float* weight;  // of `groups` rows: a row of x has that of its number modulo them
    int64_t groups;
    int64_t rows;
    int64_t columns;
    alignas(8) float epsilon;
    float* out;
};

struct QuantizeRowsArgs {
    const float* x;
    int64_t rows;
    int64_t columns;
    int8_t* q;
    float* scales;
};

struct QuantizePanelsArgs {
    const float* x;
    int64_t rows;
    int64_t columns;
    int64_t per_row;  // 1: a row has one scale, which its groups repeat
    Activations out;
};

struct LinearArgs {
    const Matrix* matrix;
    const float* x;  // FP32 activations; not read where q is there
    Activations activations;
    const float* bias;  // or null
    void* out;
    int64_t rows;
    int64_t per_row;  // 1: the activations of a row have one scale
    OutputType type;
};

struct RopeArgs {
    float* x;
    int64_t rows;
    int64_t heads;
    int64_t head_dim;
    int64_t rope_dim;
    int64_t interleaved;  // 1: pairs (2 i, 2 i + 1); 0: (i, i + n / 2)
    const float* angles;
};

// The pages of a cache. Per layer, page and head: keys [element][position], values [position][element], elements padded
// to ELEMENT_MULTIPLE; and for INT8 and FP8 FP32 scales [group of elements][position] for each. INT4 has a word of an
// FP16 scale (lower half) and an FP16 minimum in a scale's place; its keys are [pair of elements][position], the even
// element in the lower four bits, and its values [position][8 bytes of 16 elements], the first eight of them in the
// lower bits: a byte is of one position, so that rows may be stored side by side.
struct KvPages {
    uint8_t* keys;
    uint8_t* values;
    float* key_scales;
    float* value_scales;
    int64_t pages;
    int64_t heads;
    int64_t head_dim;
    KvType type;

    int64_t padded() const { return (head_dim + ELEMENT_MULTIPLE - 1) / ELEMENT_MULTIPLE * ELEMENT_MULTIPLE; }
    int64_t scale_groups() const { return (head_dim + SCALE_GROUP - 1) / SCALE_GROUP; }
    int64_t element_bits() const {
        return type == KvType::F32 ? 32 : type == KvType::F16 ? 16 : type == KvType::INT4 ? 4 : 8;
    }
    int64_t block(int64_t layer, int64_t page, int64_t head) const { return (layer * pages + page) * heads + head; }
    int64_t block_bytes() const { return padded() * PAGE * element_bits() / 8; }
};

// Where the rows of a batch stand.
struct BatchRows {
    int64_t count;
    const int32_t* positions;
    const int32_t* const* pages;  // rows of one sequence share the pointer
    const int32_t* ends;          // the last position in the batch of the row's sequence
};

struct RotateArgs {
    float* x;
    int64_t rows;
    int64_t heads;
    int64_t head_dim;
};

struct KvAppendArgs {
    const KvPages* kv;
    int64_t layer;
    const float* keys;
    const float* values;
    const BatchRows* rows;
};

// Rows [first, last) of one sequence; a row that stands alone is cut to one segment, else segment is -1.
struct AttentionBlock {
    int32_t first;
    int32_t last;
    int32_t segment;
    int32_t state;   // index of the first segment's state, where cut
    int32_t merged;  // segments that are merged into it; 0 for later segments and where not cut
};

struct AttentionArgs {
    const float* q;
    const KvPages* kv;
    int64_t layer;
    int64_t heads;
    alignas(8) float scale;
    alignas(8) float soft_cap;
    int64_t window;  // positions up to its own that a query sees; 0: all; -n: those of its run of n, a power of two
    int64_t ahead;
    const float* sinks;  // a score a head that has no value, or null
    const BatchRows* rows;
    float* out;
    const AttentionBlock* blocks;
    int64_t block_count;
    float* states;
};

// A sequence's state is the one with the number of its first page.
struct ConvolveArgs {
    const float* x;
    const float* weight;
    const float* bias;  // or null
    int64_t channels;
    int64_t kernel;
    int64_t silu;
    float* state;
    const BatchRows* rows;
    float* out;
};

struct DeltaRuleArgs {
    const float* x;
    const float* b;
    const float* a;
    const float* bias;
    const float* rate;
    int64_t key_heads;
    int64_t heads;
    int64_t head_dim;
    int64_t grouped;
    alignas(8) float epsilon;
    float* state;
    const BatchRows* rows;
    float* out;
};

struct SelectiveScanArgs {
    const float* x;
    const float* steps;
    const float* bias;
    const float* rate;
    const float* skip;
    int64_t groups;
    int64_t heads;
    int64_t head_dim;
    int64_t state_dim;
    float* state;
    const BatchRows* rows;
    float* out;
};

struct GatedActivationArgs {
    Gate function;
    const float* gate;
    const float* up;
    int64_t count;
    float* out;
};

struct AddArgs {
    float* x;
    const float* y;
    int64_t count;
};

struct ScaleArgs {
    float* x;
    int64_t count;
    alignas(8) float factor;
};

struct SoftCapArgs {
    float* x;
    int64_t count;
    alignas(8) float cap;
};

// Packs blocks of 32 columns as a file holds them: see BlockOrder in Java.
struct PackArgs {
    const uint8_t* source;
    int64_t rows;
    int64_t columns;
    int64_t block_bytes;
    int64_t nibbles;  // 1: low nibbles are columns 0 to 15, high ones 16 to 31; 0: bytes
    int64_t minimum;  // 1: an FP16 minimum follows the FP16 scale
    uint8_t* quants;
    uint16_t* scales;
    uint16_t* mins;
    int32_t* failed;  // receives the first row with a scale that is not finite, plus 1
};

struct Command {
    Op op;
    int64_t after;
    union {
        int64_t words[COMMAND_WORDS - COMMAND_HEADER_WORDS];
        EmbedArgs embed;
        GatherRowsArgs gather_rows;
        RmsNormArgs rms_norm;
        LayerNormArgs layer_norm;
        QuantizeRowsArgs quantize_rows;
        QuantizePanelsArgs quantize_panels;
        LinearArgs linear;
        RopeArgs rope;
        RotateArgs rotate;
        KvAppendArgs kv_append;
        AttentionArgs attention;
        ConvolveArgs convolve;
        DeltaRuleArgs delta_rule;
        SelectiveScanArgs selective_scan;
        GatedActivationArgs gated_activation;
        AddArgs add;
        ScaleArgs scale;
        SoftCapArgs soft_cap;
        PackArgs pack;
    };
};

static_assert(sizeof(Command) == COMMAND_WORDS * 8, "a command is plain words");
static_assert(sizeof(GroupActivation) == GROUP_ACTIVATION_BYTES, "its size is known to callers");

}  // namespace demitasse
