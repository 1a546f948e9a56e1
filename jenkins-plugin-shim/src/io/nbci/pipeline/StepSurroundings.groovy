package io.nbci.pipeline

/** What a stage asks for around its steps: secrets, a container, a limit of time. */
class StepSurroundings implements Serializable {
  def script
  def options

  StepSurroundings(script, Options options) {
    this.script = script
    this.options = options
  }

  /** Runs a body that sees these secrets, and no others. */
  def withSecrets(List names, Closure body) {
    def bindings = []
    for (name in names) {
      def credential = options.credentials[name]
      if (credential) {
        bindings << bindingOf(name, credential)
      }
    }
    if (bindings) {
      script.withCredentials(bindings) { body() }
    } else {
      body()
    }
  }

  /** What withCredentials takes: a binding as it was given, or the id of a secret text. */
  def bindingOf(String name, credential) {
    if (credential instanceof Map) {
      return credential
    }
    return [$class: 'StringBinding', credentialsId: credential.toString(), variable: name]
  }

  def inContainer(String image, Closure body) {
    if (!image) {
      body()
      return
    }
    def containers = null
    try {
      containers = script.docker
    } catch (MissingPropertyException e) {
      script.error "a step asks for the container ${image}: this needs the plugin docker-workflow"
    }
    containers.image(image).inside { body() }
  }

  /** Without a limit the step is left out: each step more costs time and a save of the build. */
  def withinTime(Integer seconds, Closure body) {
    if (seconds) {
      script.timeout(time: seconds, unit: 'SECONDS') { body() }
    } else {
      body()
    }
  }
}
