/**
 * What holds for a controller, a folder or an installation: which nbci jobs start, and what agents
 * have. Others call {@link io.nbci.jenkins.settings.EffectiveSettings} and {@link
 * io.nbci.jenkins.settings.KernelChoices}.
 */
package io.nbci.jenkins.settings;
