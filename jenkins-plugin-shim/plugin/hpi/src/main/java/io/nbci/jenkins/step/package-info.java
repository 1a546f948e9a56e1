/**
 * The build step "Run a notebook": it starts {@code nbci run} on the agent, keeps what nbci made,
 * and ends the build as nbci says. nbci decides; this package carries that out.
 */
package io.nbci.jenkins.step;
