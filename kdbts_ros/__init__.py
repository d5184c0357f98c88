"""Bird's-eye occupancy and depth from posed images, seen and unseen space alike."""

# The generated ``kdbts_ros.msg`` lives in the install space; let the source tree find it too.
__path__ = __import__("pkgutil").extend_path(__path__, __name__)
