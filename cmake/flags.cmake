# How our own code is compiled. GW_WARNINGS is for our sources alone; `gw_flags` carries what every object must share.
# Build types: Release (hardened, asserts kept), Debug, Asan (address, leak, undefined behaviour), Tsan (threads).

set(GW_WARNINGS -Werror -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wwrite-strings
	-Wpointer-arith -Wundef -Wformat=2 -Wswitch -Wno-unused-parameter)

get_property(multi GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
if(NOT multi AND NOT CMAKE_BUILD_TYPE)
	set(CMAKE_BUILD_TYPE Release CACHE STRING "Release, Debug, Asan or Tsan" FORCE)
endif()

# No NDEBUG anywhere: an assert that fails in the field is worth more than the nanosecond.
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")
set(CMAKE_C_FLAGS_DEBUG "-Og -g3")
set(CMAKE_C_FLAGS_ASAN "-O1 -g -fno-omit-frame-pointer -fno-optimize-sibling-calls")
set(CMAKE_C_FLAGS_TSAN "-O1 -g -fno-omit-frame-pointer")

add_library(gw_flags INTERFACE)

if(CMAKE_BUILD_TYPE STREQUAL "Release")
	include(CheckPIESupported)
	check_pie_supported(LANGUAGES C)
	set(CMAKE_POSITION_INDEPENDENT_CODE ON)
	target_compile_options(gw_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong
		-fstack-clash-protection)
	target_link_options(gw_flags INTERFACE -Wl,-z,relro -Wl,-z,now)
	# Link-time optimisation where the compiler's own linker does it without further packages.
	if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
		include(CheckIPOSupported)
		check_ipo_supported(RESULT lto LANGUAGES C)
		option(GW_LTO "Optimise across files when linking" ${lto})
		set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ${GW_LTO})
	endif()
	include(cmake/profile.cmake)
elseif(CMAKE_BUILD_TYPE STREQUAL "Asan")
	set(sanitize -fsanitize=address,undefined -fno-sanitize-recover=all)
elseif(CMAKE_BUILD_TYPE STREQUAL "Tsan")
	set(sanitize -fsanitize=thread)
endif()
target_compile_options(gw_flags INTERFACE ${sanitize})
# 1: every arena allocation is a malloc of its own, so that the address sanitizer sees its ends.
target_compile_definitions(gw_flags INTERFACE GW_ARENA_MALLOC=$<CONFIG:Asan>)
target_link_options(gw_flags INTERFACE ${sanitize})

if(FUZZ)
	if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
		message(FATAL_ERROR "FUZZ needs clang: cmake --preset fuzz")
	endif()
	target_compile_options(gw_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
