"""Bird's-eye occupancy and depth from posed images, seen and unseen space alike."""

from pkgutil import extend_path

# The generated ``kdbts_ros.msg`` lives in the install space; let the source tree find it too. Where
# this is one expression, documentation tools take the folder for a namespace and pass it over.
__path__ = extend_path(__path__, __name__)
