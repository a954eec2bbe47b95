/** Chat templates: a hardened engine for the part of Jinja2 that they use. */
@NullMarked
package dev.demitasse.template;

import org.jspecify.annotations.NullMarked;
