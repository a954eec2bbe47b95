// Computes: where each choice of an expert lies among the places, and the tiles of each expert's rows.
// Layout:   experts.cuh.
// Requires: what route has written, of MOST_EXPERTS experts at most.
// Accuracy: exact. Places of an expert are in the order of rows, whatever threads do first.
// Launch:   a block of ORDER_THREADS an expert.
// Moves:    4 bytes a choice and block, of the second-level cache; 20 bytes are written a place, 16 a tile.
// Why:      bound by latency. Every block counts the choices of all experts, so that none waits for another; its own it
//           finds by threads that each look at neighboring choices. Not run on a GPU yet.
#include "demitasse/experts.cuh"

namespace demitasse {

struct OrderRoutesArgs {
    const int32_t* ids;    // [row][used]
    const float* weights;  // [row][used]
    int64_t choices;       // rows x used
    int64_t experts;
    int64_t align;
    int64_t tile_rows;
    int64_t most_places;  // those behind the last expert's are filled
    int64_t most_tiles;   // as these are
    RouteOrder order;
};

DEVICE void order_routes(const OrderRoutesArgs& a) {
    follow_previous();
    SHARED(uint32_t, counts, MOST_EXPERTS);
    SHARED(uint32_t, mine, ORDER_THREADS);
    SHARED(uint32_t, before, 2);  // places and tiles of experts with smaller numbers
    const int experts = static_cast<int>(a.experts);
    const int choices = static_cast<int>(a.choices);
    const int align = static_cast<int>(a.align);
    const int rows = static_cast<int>(a.tile_rows);
    const int expert = static_cast<int>(blockIdx.x);
    const int thread = static_cast<int>(threadIdx.x);
    for (int e = thread; e < experts; e += ORDER_THREADS) {
        counts[e] = 0;
    }
    if (thread < 2) {
        before[thread] = 0;
    }
    __syncthreads();
    const int each = (choices + ORDER_THREADS - 1) / ORDER_THREADS;
    const int begin = minimum(thread * each, choices);
    const int end = minimum(begin + each, choices);
    uint32_t own = 0;
    for (int i = begin; i < end; i++) {
        count_atomically(counts + a.ids[i]);
        own += a.ids[i] == expert ? 1 : 0;
    }
    mine[thread] = own;
    __syncthreads();
    for (int e = thread; e < expert; e += ORDER_THREADS) {
        const int count = static_cast<int>(counts[e]);
        add_atomically(before, static_cast<uint32_t>(round_up(count, align)));
        add_atomically(before + 1, static_cast<uint32_t>((count + rows - 1) / rows));
    }
    __syncthreads();
    const int first = static_cast<int>(before[0]);
    int first_tile = static_cast<int>(before[1]);
    int place = first;
    for (int t = 0; t < thread; t++) {
        place += static_cast<int>(mine[t]);
    }
    for (int i = begin; i < end; i++) {
        if (a.ids[i] == expert) {
            a.order.places[i] = place;
            a.order.place_rows[place] = i / static_cast<int>(a.order.used);
            a.order.place_weights[place] = a.weights[i];
            place++;
        }
    }
    const int count = static_cast<int>(counts[expert]);
    const bool last = expert == experts - 1;
    const int next = last ? static_cast<int>(a.most_places) : first + round_up(count, align);
    for (int i = first + count + thread; i < next; i += ORDER_THREADS) {
        a.order.place_rows[i] = 0;
        a.order.place_weights[i] = 0;
    }
    const int tiles = (count + rows - 1) / rows;
    const int next_tile = last ? static_cast<int>(a.most_tiles) : first_tile + tiles;
    for (int i = thread; first_tile + i < next_tile; i += ORDER_THREADS) {
        const int from = first + i * rows;
        a.order.tiles[first_tile + i] =
            i < tiles ? GroupTile{expert, from, minimum(from + rows, first + count), 0} : GroupTile{0, 1, 1, 0};
    }
}

}  // namespace demitasse

KERNEL(demitasse::ORDER_THREADS) order_routes(const demitasse::OrderRoutesArgs a) { demitasse::order_routes(a); }
EXPORT(order_routes)
