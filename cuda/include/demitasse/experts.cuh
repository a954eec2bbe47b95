// Which experts the rows of a batch have: what route and order_routes write, and all that experts do reads.
//
// A row's choice of one expert is a place. Choices lie by rows, [row][used], in the order of experts' numbers; places
// lie by experts, in the order of rows, those of an expert behind each other from a multiple of `align` on.
#pragma once

#include "demitasse/weights.cuh"

namespace demitasse {

struct RouteOrder {
    int64_t used;          // experts of a row
    int32_t* places;       // [row][used]: where a choice lies
    int32_t* place_rows;   // [place]: its row; 0 of places between experts
    float* place_weights;  // [place]
    GroupTile* tiles;
};

}  // namespace demitasse
