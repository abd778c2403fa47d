with

source as (

    select * from {{ source('pos', 'sales') }}

),

stg_pos__sales as (

    select
        file_id,
        line_number,
        {%- for column in contract_columns() %}
        {{ contract_cast('source.' ~ column.name, column.data_type) }}
            as {{ column.name }},
        {%- endfor %}
        {%- for column in contract_columns() %}
        source.{{ column.name }} as raw_{{ column.name }},
        {%- endfor %}
        additional_column,
        row_fault,
        row_fault_detail,
        raw_line,
        batch_id

    from source

)

select * from stg_pos__sales
