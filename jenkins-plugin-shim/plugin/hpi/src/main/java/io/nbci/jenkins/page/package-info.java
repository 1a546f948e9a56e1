/**
 * The pages of builds and jobs: what nbci handed over in page.json, where Jenkins' users look.
 *
 * <p>nbci decides what is said; this package keeps it with the build, checks it, and shows it.
 */
package io.nbci.jenkins.page;
