package dev.demitasse.quant;

/**
 * How blocks of 32 columns lie in a file whose integers a device can take over by words instead of one by one: an FP16
 * scale, where the layout has minimums an FP16 minimum, then the integers in this order.
 */
public enum BlockOrder {
    /** 16 bytes: low nibbles are columns 0 … 15, high ones 16 … 31. */
    NIBBLES,
    /** 32 bytes in the order of the columns. */
    BYTES
}
