#include "demitasse/kernels.h"

namespace demitasse {
namespace {

int64_t pieces(int64_t count, int64_t size) { return (count + size - 1) / size; }

Plan linear_plan(const LinearArgs& a) {
    const Matrix& m = *a.matrix;
    int64_t blocks = pieces(a.rows, ROW_BLOCK);
    int64_t sums = ROW_BLOCK * 2 * PANEL * 4;
    int64_t dequantized = FLOAT_COLUMNS * PANEL * 4;
    return {static_cast<int>(pieces(m.panels(), panels_per_task(m, a.rows)) * blocks), sums + dequantized};
}

Plan attention_plan(const AttentionArgs& a) {
    int64_t dim = a.kv->padded();
    int64_t queries = QUERY_BLOCK * (a.heads / a.kv->heads);
    int64_t pages = 2 * dim * PAGE * 4;
    int64_t states = 2 * queries * (STATE_HEADER + dim) * 4;
    int64_t scores = PAGE_QUERIES * PAGE * 4;
    int64_t words = 4 * a.kv->scale_groups() * PAGE * 4;
    return {static_cast<int>(a.block_count * a.kv->heads), pages + states + scores + words};
}

}  // namespace

Plan plan(const Command& c) {
    switch (c.op) {
        case Op::EMBED:
            return {static_cast<int>(pieces(c.embed.rows, 4)), 0};
        case Op::GATHER_ROWS:
            return {static_cast<int>(pieces(c.gather_rows.rows, gathered_rows(c.gather_rows.columns))), 0};
        case Op::RMS_NORM: {
            int64_t rows = NORM_ELEMENTS / c.rms_norm.columns;
            return {static_cast<int>(pieces(c.rms_norm.rows, rows < 1 ? 1 : rows)), 0};
        }
        case Op::LAYER_NORM: {
            int64_t rows = NORM_ELEMENTS / c.layer_norm.columns;
            return {static_cast<int>(pieces(c.layer_norm.rows, rows < 1 ? 1 : rows)), 0};
        }
        case Op::QUANTIZE_ROWS:
            return {static_cast<int>(pieces(c.quantize_rows.rows, QUANTIZE_ROWS)), 0};
        case Op::QUANTIZE_PANELS:
            return {static_cast<int>(pieces(c.quantize_panels.rows, QUANTIZE_ROWS)), 0};
        case Op::LINEAR:
            return linear_plan(c.linear);
        case Op::ROPE:
            return {static_cast<int>(pieces(c.rope.rows, 4)), 0};
        case Op::ROTATE:
            return {static_cast<int>(pieces(c.rotate.rows, ROTATE_ROWS)), 0};
        case Op::KV_APPEND:
            return {static_cast<int>(pieces(c.kv_append.rows->count, APPEND_ROWS)), 0};
        case Op::ATTENTION:
            return attention_plan(c.attention);
        case Op::ATTENTION_MERGE:
            return {static_cast<int>(c.attention.block_count), 0};
        case Op::CONVOLVE:
            return {static_cast<int>(pieces(c.convolve.channels, CONVOLVE_CHANNELS)), 0};
        case Op::DELTA_RULE:
            return {static_cast<int>(c.delta_rule.heads), 0};
        case Op::SELECTIVE_SCAN:
            return {static_cast<int>(c.selective_scan.heads), 0};
        case Op::GATED_ACTIVATION:
            return {static_cast<int>(pieces(c.gated_activation.count, FUNCTION_BLOCK)), 0};
        case Op::ADD:
            return {static_cast<int>(pieces(c.add.count, ADD_BLOCK)), 0};
        case Op::SCALE:
            return {static_cast<int>(pieces(c.scale.count, ADD_BLOCK)), 0};
        case Op::SOFT_CAP:
            return {static_cast<int>(pieces(c.soft_cap.count, FUNCTION_BLOCK)), 0};
        case Op::PACK:
            return {static_cast<int>(pieces(pieces(c.pack.rows, PANEL), 8)), 0};
        case Op::COUNT:
            break;
    }
    return {0, 0};
}

}  // namespace demitasse
