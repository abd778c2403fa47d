{% macro is_unchanged() -%}
    {%- set unchanged = [] -%}
    {%- if execute -%}
        {%- set tables = env_var('RETAIL_UNCHANGED_DIMENSIONS', '') -%}
        {%- do unchanged.extend(tables.split(',')) -%}
        {#- a unit test sees no sources -#}
        {%- set known = graph.get('sources', {}).values()
            | selectattr('source_name', 'equalto', 'retail')
            | map(attribute='name') | list -%}
        {%- for table in varargs if known and table not in known -%}
            {{ exceptions.raise_compiler_error(
                "is_unchanged: '" ~ table ~ "' is no table of the source retail;"
                ~ " expected " ~ known | sort | join(', ')
            ) }}
        {%- endfor -%}
    {%- endif -%}
    {{ return(varargs | reject('in', unchanged) | list | length == 0) }}
{%- endmacro %}
