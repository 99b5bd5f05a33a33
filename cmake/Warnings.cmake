# svi_target(TARGET): our own code is compiled with warnings as errors, and with the sanitizers asked for.
if(SVI_SANITIZE)
  add_compile_options(-fsanitize=${SVI_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${SVI_SANITIZE})
endif()

function(svi_target target)
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wnon-virtual-dtor -Woverloaded-virtual -Werror>)
endfunction()
