"""What tests of the plugin ask a controller's script console, which REST does not tell."""

from __future__ import annotations

from typing import Final

RECORDS: Final = """
def files = [:]
def folder = jenkins.model.Jenkins.get().getItemByFullName('FOLDER')
folder.allItems(hudson.model.Job).each { job ->
  files[job.fullName] = job.configFile.asString()
  job.builds.each { files[it.externalizableId] = new File(it.rootDir, 'build.xml').text }
}
println groovy.json.JsonOutput.toJson(files)
"""
"""The files of the jobs and builds in FOLDER."""

SAVE_ALL: Final = """
def folder = jenkins.model.Jenkins.get().getItemByFullName('FOLDER')
folder.allItems(hudson.model.Job).each { job -> job.builds.each { it.save() } }
"""
"""Write the builds in FOLDER as they are in the controller's memory."""

_SETTINGS: Final = """
def settings = jenkins.model.Jenkins.get().getDescriptor('io.nbci.jenkins.settings.NbciSettings')
def tools = jenkins.model.Jenkins.get().getDescriptor('io.nbci.jenkins.settings.NbciInstallation')
def fields = settings.class.declaredFields.findAll {
  !java.lang.reflect.Modifier.isStatic(it.modifiers)
}
fields.each { it.accessible = true }
"""

KEEP_SETTINGS: Final = (
    _SETTINGS
    + """
def values = fields.collectEntries { [it.name, it.get(settings)] }
def homes = tools.installations.collect { [it.name, it.home] }
println groovy.json.JsonOutput.toJson([values: values, homes: homes])
"""
)
"""Print the plugin's settings and installations."""

PUT_SETTINGS_BACK: Final = (
    _SETTINGS
    + """
def before = new groovy.json.JsonSlurper().parseText('''BEFORE''')
fields.each { it.set(settings, before.values[it.name]) }
settings.save()
def make = tools.clazz.getConstructor(String, String, List)
def kept = java.lang.reflect.Array.newInstance(tools.clazz, before.homes.size())
before.homes.eachWithIndex { pair, at -> kept[at] = make.newInstance(pair[0], pair[1], []) }
tools.setInstallations(kept)
"""
)
"""Set what KEEP_SETTINGS printed, which stands in BEFORE's place."""
