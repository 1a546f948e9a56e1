// Stands for the global variable of the plugin docker-workflow, which is written in Groovy, too.
def image(String name) {
  new Image(script: this, id: name)
}

class Image implements Serializable {
  def script
  String id

  def inside(String args = '', Closure body) {
    script.withDockerContainer(image: id) { body() }
  }
}
