# generated/gw_revision.h with GW_REVISION, what `git describe` says ("" outside of a checkout). Looked at in every
# build, rewritten only when it changes: a commit recompiles the one file that includes it and no more.
#
# Included by CMakeLists.txt it makes the target; run as a script (cmake -P) it writes the header.
if(NOT CMAKE_SCRIPT_MODE_FILE)
	add_custom_target(gw_revision
		COMMAND ${CMAKE_COMMAND} -DHEADER=${CMAKE_BINARY_DIR}/generated/gw_revision.h -P ${CMAKE_CURRENT_LIST_FILE}
		WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
		BYPRODUCTS ${CMAKE_BINARY_DIR}/generated/gw_revision.h
		COMMENT "Looking at the revision" VERBATIM)
	return()
endif()

execute_process(COMMAND git describe --always --dirty --match "v*"
	OUTPUT_VARIABLE revision OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
	set(revision "")
endif()
set(text "#define GW_REVISION \"${revision}\"\n")
if(EXISTS ${HEADER})
	file(READ ${HEADER} before)
endif()
if(NOT text STREQUAL "${before}")
	file(WRITE ${HEADER} "${text}")
endif()
