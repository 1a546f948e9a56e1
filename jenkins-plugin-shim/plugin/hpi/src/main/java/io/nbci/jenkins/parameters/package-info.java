/**
 * The job parameter "Parameters of a notebook pipeline": it asks for what the pipeline asks for, as
 * the newest build has told, and hands the values to nbci as variables.
 */
package io.nbci.jenkins.parameters;
