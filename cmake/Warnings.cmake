# svi_target(TARGET): our own code is compiled with warnings as errors, and with the sanitizers asked for.
if(SVI_SANITIZE)
  add_compile_options(-fsanitize=${SVI_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${SVI_SANITIZE})
endif()

if(SVI_SANITIZE MATCHES "thread")
  add_library(svi_tsan SHARED "${CMAKE_SOURCE_DIR}/tests/sanitizers/absl_synchronization.cc")
  target_link_libraries(svi_tsan PRIVATE ${CMAKE_DL_LIBS})
  link_libraries(svi_tsan)
  # In front of abseil, wherever CMake would put it.
  add_link_options($<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:$<TARGET_FILE:svi_tsan>>)
endif()

if(SVI_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

function(svi_target target)
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wnon-virtual-dtor -Woverloaded-virtual -Werror>)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # g++ 12's optimiser sees overlaps and overflows of SIZE_MAX bytes inside libstdc++'s strings (its bug 105329).
    target_compile_options(${target} PRIVATE
      $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict -Wno-stringop-overflow -Wno-array-bounds>)
  endif()
endfunction()
