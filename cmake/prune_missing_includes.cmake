# Injected before project(): the ROS 2 wheels name header folders of the machine they were built
# on, and CMake refuses an imported target that has such a folder. Dropped here is whatever does not
# exist; on a system-wide ROS nothing changes.
function(kdbts_prune_missing_includes)
  get_property(imported DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS imported)
    get_target_property(folders ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(NOT folders)
      continue()
    endif()
    set(existing "")
    foreach(folder IN LISTS folders)
      # A generator expression is not a path yet; it has to stay.
      if(folder MATCHES "\\$<" OR EXISTS "${folder}")
        list(APPEND existing "${folder}")
      endif()
    endforeach()
    set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${existing}")
  endforeach()
endfunction()

# Deferred to the end of the package's CMakeLists.txt, when every find_package has run.
cmake_language(DEFER CALL kdbts_prune_missing_includes)
