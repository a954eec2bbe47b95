// Computes: where each choice of an expert lies among the places, and the tiles of each expert's rows.
// Layout:   experts.h.
// Requires: what route has written, of MOST_EXPERTS experts at most.
// Accuracy: exact. Places of an expert are in the order of rows, whatever items do first.
// Launch:   a work-group of ORDER_ITEMS items an expert.
// Moves:    4 bytes a choice and work-group; 20 bytes are written a place, 16 a tile.
// Why:      bound by latency. Every work-group counts the choices of all experts, so that none waits for another; its
//           own it finds by items that each look at neighboring choices.
#include "experts.h"

typedef struct OrderRoutesArgs {
    long choices;  // rows x used
    long experts;
    long tile_rows;
    long most_tiles;  // those behind the last expert's are filled
    RouteOrder order;
} OrderRoutesArgs;

KERNEL(ORDER_ITEMS) order_routes(global uchar* routes, const OrderRoutesArgs a) {
    local int counts[MOST_EXPERTS];
    local int mine[ORDER_ITEMS];
    local int before[2];  // places and tiles of experts with smaller numbers
    const int experts = (int)a.experts;
    const int choices = (int)a.choices;
    const int rows = (int)a.tile_rows;
    const int expert = (int)get_group_id(0);
    global const int* ids = READ(int, routes, a.order.ids);
    for (int e = item(); e < experts; e += ORDER_ITEMS) {
        counts[e] = 0;
    }
    if (item() < 2) {
        before[item()] = 0;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    const int each = (choices + ORDER_ITEMS - 1) / ORDER_ITEMS;
    const int begin = min(item() * each, choices);
    const int end = min(begin + each, choices);
    int own = 0;
    for (int i = begin; i < end; i++) {
        atomic_inc((volatile local int*)&counts[ids[i]]);
        own += ids[i] == expert ? 1 : 0;
    }
    mine[item()] = own;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int e = item(); e < expert; e += ORDER_ITEMS) {
        atomic_add((volatile local int*)&before[0], counts[e]);
        atomic_add((volatile local int*)&before[1], (counts[e] + rows - 1) / rows);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    const int first = before[0];
    const int first_tile = before[1];
    int place = first;
    for (int t = 0; t < item(); t++) {
        place += mine[t];
    }
    for (int i = begin; i < end; i++) {
        if (ids[i] == expert) {
            WRITE(int, routes, a.order.places)[i] = place;
            WRITE(int, routes, a.order.place_rows)[place] = i / (int)a.order.used;
            WRITE(float, routes, a.order.place_weights)[place] = READ(float, routes, a.order.weights)[i];
            place++;
        }
    }
    const int count = counts[expert];
    const int tiles = (count + rows - 1) / rows;
    const int next_tile = expert == experts - 1 ? (int)a.most_tiles : first_tile + tiles;
    for (int i = item(); first_tile + i < next_tile; i += ORDER_ITEMS) {
        const int from = first + i * rows;
        const GroupTile own_tile = {expert, from, min(from + rows, first + count), 0};
        const GroupTile none = {0, 1, 1, 0};
        WRITE(GroupTile, routes, a.order.tiles)[first_tile + i] = i < tiles ? own_tile : none;
    }
}
