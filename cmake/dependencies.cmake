# The libraries, each as deps::NAME. A system copy comes first; yyjson and llhttp, which Debian 12 lacks, are otherwise
# compiled from the sources that deps/fetch puts into the cache (pinned and hashed in deps/pins). With USE_SYSTEM_DEPS
# nothing is fetched: what is missing is an error. Their headers are system headers: our warnings do not concern them.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

function(system_library name module)
	pkg_check_modules(${name} REQUIRED IMPORTED_TARGET ${module})
	add_library(deps::${name} ALIAS PkgConfig::${name})
endfunction()

# dep_source(NAME VERSION RESULT): defines deps::NAME from the system if it has VERSION or later, else sets RESULT to the
# folder of the pinned source.
function(dep_source name version result)
	set(${result} "" PARENT_SCOPE)
	find_package(${name} ${version} CONFIG QUIET)
	foreach(target ${name}::${name} ${name}::${name}_shared ${name}::${name}_static)
		if(TARGET ${target})
			message(STATUS "${name}: the system's, ${${name}_VERSION}")
			add_library(deps_${name} INTERFACE)
			target_link_libraries(deps_${name} INTERFACE ${target})
			add_library(deps::${name} ALIAS deps_${name})
			return()
		endif()
	endforeach()
	pkg_search_module(${name} QUIET IMPORTED_TARGET "${name}>=${version}" "lib${name}>=${version}")
	if(TARGET PkgConfig::${name})
		message(STATUS "${name}: the system's, ${${name}_VERSION}")
		add_library(deps::${name} ALIAS PkgConfig::${name})
		return()
	endif()
	if(USE_SYSTEM_DEPS)
		message(FATAL_ERROR "${name} ${version} or later is not installed, and USE_SYSTEM_DEPS forbids to fetch it")
	endif()
	execute_process(COMMAND ${CMAKE_SOURCE_DIR}/deps/fetch ${name}
		OUTPUT_VARIABLE folder OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
	if(failed)
		message(FATAL_ERROR "deps/fetch ${name} failed")
	endif()
	message(STATUS "${name}: ${folder}")
	set(${result} ${folder} PARENT_SCOPE)
endfunction()

function(dep_build name include)
	add_library(deps_${name} STATIC ${ARGN})
	target_include_directories(deps_${name} SYSTEM PUBLIC ${include})
	target_compile_options(deps_${name} PRIVATE -w)
	target_link_libraries(deps_${name} PRIVATE gw_flags)
	# Sanitizers watch the addresses there too; its arithmetic is not ours, and clang takes minutes to optimise the result.
	if(CMAKE_BUILD_TYPE STREQUAL "Asan")
		target_compile_options(deps_${name} PRIVATE -fno-sanitize=undefined)
	endif()
	if(CMAKE_BUILD_TYPE MATCHES "san$" AND NOT FUZZ)
		target_compile_options(deps_${name} PRIVATE -O0)
	endif()
	add_library(deps::${name} ALIAS deps_${name})
endfunction()

system_library(uv libuv>=1.38)
system_library(fyaml libfyaml>=0.7)
system_library(openssl openssl>=3.0)
system_library(zlib zlib>=1.2)

dep_source(yyjson 0.10 yyjson_source)
if(yyjson_source)
	dep_build(yyjson ${yyjson_source}/yyjson ${yyjson_source}/yyjson/yyjson.c)
endif()

dep_source(llhttp 9.2 llhttp_source)
if(llhttp_source)
	set(lib ${llhttp_source}/lib)
	dep_build(llhttp ${lib} ${lib}/llhttp.c ${lib}/http.c ${lib}/api.c)
endif()
