// Which experts the rows of a batch have: what route and order_routes write, and all that experts do reads. All of it
// lies in one buffer.
//
// A row's choice of one expert is a place. Choices lie by rows, [row][used], in the order of experts' numbers; places
// lie by experts, in the order of rows, those of an expert behind each other.
#include "weights.h"

typedef struct RouteOrder {
    long used;           // experts of a row
    long ids;            // [row][used]
    long weights;        // [row][used]
    long places;         // [row][used]: where a choice lies
    long place_rows;     // [place]: its row
    long place_weights;  // [place]
    long tiles;          // of GroupTile
} RouteOrder;
