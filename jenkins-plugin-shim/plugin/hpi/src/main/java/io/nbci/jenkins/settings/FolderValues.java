package io.nbci.jenkins.settings;

/** What a folder sets for the jobs in it; empty texts leave it to what is above. */
record FolderValues(String command, String storeRemote) {}
