package dev.demitasse.device;

/**
 * What a selective scan has for each head.
 *
 * @param bias heads: is added to a row's steps
 * @param rate heads, below zero: of what a state forgets
 * @param skip heads: multiplies the values that are added to the result
 */
public record ScanWeights(Buffer bias, Buffer rate, Buffer skip) {}
