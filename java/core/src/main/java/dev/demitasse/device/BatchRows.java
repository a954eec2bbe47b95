package dev.demitasse.device;

/**
 * Where the rows of a batch stand: row {@code i} is position {@code positions[i]} of a sequence whose cache lies in the
 * pages {@code pages[i]} (page {@code p} holds positions from {@code p * pageLength}). Rows of one sequence come in
 * ascending positions.
 *
 * @param count rows
 * @param positions position of each row, from 0
 * @param pages page table of each row's sequence; rows of one sequence share the array
 */
public record BatchRows(int count, int[] positions, int[][] pages) {}
