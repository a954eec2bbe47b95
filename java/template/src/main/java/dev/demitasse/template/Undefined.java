package dev.demitasse.template;

/**
 * The value of a name that is not there: false, empty, printed as nothing; anything else with it is an error.
 *
 * @param name what was looked up, for the message
 */
record Undefined(String name) {}
