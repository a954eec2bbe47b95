// Tiles of bytes and their products (Intel AMX: TILE and INT8), beside AVX-512.
//
// Tiles 0 and 1 are sums, 16 rows of 16 integers; tile 2 is 16 rows of `bytes` signed bytes; tile 3 is bytes / 4 rows
// of 16 words, each of four signed bytes: what a panel of weights is. A thread's tiles are set up by TileSetup, and let
// go at its end, since the operating system saves them while they are in use.
#pragma once

#include "simd_avx512.h"

#define DM_AMX

namespace demitasse::DM_ISA {

constexpr int TILE_HEIGHT = 16;  // rows of a tile

#if defined(DEMITASSE_SIMDE)

inline void force_stored(const void*) {}

// The same in C++, for tests on machines without.
struct Tile {
    int rows;
    int bytes;  // of a row
    alignas(64) int8_t data[TILE_HEIGHT][64];
};

inline thread_local Tile tiles[4];

struct TileSetup {
    explicit TileSetup(int bytes) {
        tiles[0].rows = tiles[1].rows = tiles[2].rows = TILE_HEIGHT;
        tiles[3].rows = bytes / 4;
        tiles[2].bytes = bytes;
        tiles[0].bytes = tiles[1].bytes = tiles[3].bytes = 64;
    }
};

template <int T>
void tile_zero() {
    std::memset(tiles[T].data, 0, sizeof tiles[T].data);
}
template <int T>
void tile_load(const void* from, int64_t stride) {
    for (int r = 0; r < tiles[T].rows; r++) {
        std::memcpy(tiles[T].data[r], static_cast<const int8_t*>(from) + r * stride,
                    static_cast<size_t>(tiles[T].bytes));
    }
}
template <int T>
void tile_store(void* to) {
    std::memcpy(to, tiles[T].data, sizeof tiles[T].data);
}
template <int T>
void tile_dot() {
    for (int r = 0; r < TILE_HEIGHT; r++) {
        for (int n = 0; n < LANES; n++) {
            int32_t sum;
            std::memcpy(&sum, &tiles[T].data[r][n * 4], 4);
            for (int k = 0; k < tiles[2].bytes; k++) {
                sum += tiles[2].data[r][k] * tiles[3].data[k / 4][n * 4 + k % 4];
            }
            std::memcpy(&tiles[T].data[r][n * 4], &sum, 4);
        }
    }
}

#else

// GCC 12 is told of few of the bytes that intrinsics of tiles read: those behind `at` are stored before what follows.
inline void force_stored(const void* at) { asm volatile("" : : "r"(at) : "memory"); }

struct TileSetup {
    // `bytes`: of a row of tile 2, a multiple of four.
    explicit TileSetup(int bytes) {
        alignas(64) uint8_t config[64] = {1};  // the palette; rows of tile t at 48 + t, bytes of a row at 16 + 2 t
        for (int t = 0; t < 4; t++) {
            config[48 + t] = static_cast<uint8_t>(t == 3 ? bytes / 4 : TILE_HEIGHT);
            config[16 + 2 * t] = static_cast<uint8_t>(t == 2 ? bytes : 64);
        }
        force_stored(config);
        _tile_loadconfig(config);
    }
    ~TileSetup() { _tile_release(); }
    TileSetup(const TileSetup&) = delete;
    TileSetup& operator=(const TileSetup&) = delete;
};

// The intrinsics want numbers of tiles that the preprocessor sees.
template <int T>
void tile_zero() {
    if constexpr (T == 0) {
        _tile_zero(0);
    } else {
        _tile_zero(1);
    }
}
template <int T>
void tile_load(const void* from, int64_t stride) {
    if constexpr (T == 2) {
        _tile_loadd(2, from, stride);
    } else {
        _tile_loadd(3, from, stride);
    }
}
template <int T>
void tile_store(void* to) {
    if constexpr (T == 0) {
        _tile_stored(0, to, 64);
    } else {
        _tile_stored(1, to, 64);
    }
}
// Adds the products of tiles 2 and 3.
template <int T>
void tile_dot() {
    if constexpr (T == 0) {
        _tile_dpbssd(0, 2, 3);
    } else {
        _tile_dpbssd(1, 2, 3);
    }
}

#endif

}  // namespace demitasse::DM_ISA
